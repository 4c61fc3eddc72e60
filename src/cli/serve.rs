//! `topgraft serve`: watch, and a page to see and teach it from a phone.

use std::io::Read;
use std::path::PathBuf;

use anyhow::bail;
use topgraft::live::web::{About, Server, Token};
use topgraft::live::{LiveEvent, Seen};

use super::Outcome;
use super::backbone::BackboneArgs;
use super::memory;
use super::message::message;
use super::watch::{self, Listener, Live};

/// Watch as `watch` does, and serve a page that shows it and teaches it, for phones and computers; docs/serve.md says more
#[derive(clap::Args)]
#[group(id = "serve")]
pub struct Args {
    #[command(flatten)]
    watch: watch::Args,
    /// Where the page is: 127.0.0.1:8080 is for this machine only, 0.0.0.0:8080 for the whole network, which then needs the token that is
    /// printed [default: what the settings say, else 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// File that holds the token, on a line, instead of a new one at every start
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// Bytes of a file with a token.
const MAX_TOKEN_FILE: u64 = 4096;

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    memory::give_back();
    let config = args.watch.config()?;
    let mut web = config.web.clone();
    web.listen = args.listen.clone().unwrap_or(web.listen);
    if let Some(path) = &args.token_file {
        let mut text = String::new();
        let read = std::fs::File::open(path).and_then(|file| file.take(MAX_TOKEN_FILE).read_to_string(&mut text));
        if let Err(error) = read {
            bail!("{}: {error}; give a file that holds the token", path.display());
        }
        web.token = Some(Token::new(text.trim()));
    }
    web.check()?;
    // Before the camera, which is not to be started for nothing.
    let is_new_token = web.token.is_none() && web.is_open()?;
    if is_new_token {
        web.token = Some(Token::random()?);
    }
    if config.store.is_none() && config.head.is_none() && args.watch.model().is_none() {
        bail!("there is nothing to teach; give --store FILE.store, which is made if it is not there");
    }
    let args = &args.watch;
    let live = Live::start(args, &config, true)?;
    let backbone = BackboneArgs::of(config.backbone.clone());
    let source = move || backbone.source().map_err(|error| format!("{error:#}"));
    let about = About { camera: live.source.clone(), source: Box::new(source) };
    let server = Server::start(&live.session, about, &web)?;
    let token = web.token.as_ref().filter(|_| is_new_token);
    message(format_args!("the page is at {}", link(&server, token)));
    let session = live.session.clone();
    let mut listeners = watch::listeners(&config, &session)?;
    listeners.push(Box::new(server));
    let outcome = watch::watch(args, &config, live, listeners, true);
    watch::end(session);
    outcome
}

/// What to type, or click, to get there.
fn link(server: &Server, token: Option<&Token>) -> String {
    let address = server.address();
    let host = match address.ip() {
        ip if ip.is_unspecified() => {
            #[cfg(unix)]
            let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
            #[cfg(not(unix))]
            let name = "this-machine".to_owned();
            if name.contains('.') || name == "localhost" { name } else { format!("{name}.local") }
        }
        std::net::IpAddr::V6(ip) => format!("[{ip}]"),
        ip => ip.to_string(),
    };
    // What is behind the # is for the page alone: no log of a proxy has it.
    let token = token.map_or(String::new(), |token| format!("#token={}", token.reveal()));
    format!("http://{host}:{}/{token}", address.port())
}

impl Listener for Server {
    fn happened(&self, event: &LiveEvent) {
        self.note(event);
    }

    fn seen(&self, _: &Seen) {}

    fn messages(&self) -> Vec<String> {
        self.refusals()
    }
}
