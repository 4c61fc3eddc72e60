//! `topgraft watch`: what the camera sees, all the time.

#[cfg(feature = "mqtt")]
mod broker;
#[cfg(feature = "gpio")]
mod buttons;
mod screen;
mod service;
mod terminal;

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::{Map, Value, json};
use topgraft::learn::{Classifier, Model, TeachError};
use topgraft::live::camera::Camera;
use topgraft::live::{Config, LiveEvent, Mind, NamedCamera, Newer, Seen, Session};
use topgraft::store::SampleStoreError;

use super::Outcome;
use super::backbone::BackboneArgs;
use super::live::{self, LiveArgs};
use super::memory;
use super::message::message;
use super::signals;
use super::text::{percent, plain};

/// Say what the camera sees, all the time; samples that `teach` adds meanwhile are known at once
#[derive(clap::Args)]
pub struct Args {
    /// `camera` (that of the settings, rpicam if they name none), or another source: rpicam:1, /dev/video0, http://..., rtsp://...,
    /// a folder of photos, a video file, `-`
    #[arg(short, long, value_name = "SOURCE", default_value = "camera")]
    from: String,
    #[command(flatten)]
    live: LiveArgs,
    /// Head file to use where there is no store, or where the store is damaged [default: what the settings say]
    #[arg(short, long, value_name = "HEAD.graft")]
    model: Option<PathBuf>,
    /// Small screen beside the camera: st7789, ili9341, ssd1306, framebuffer, or a file whose name ends in .png; docs/live.md lists
    /// their settings
    #[arg(long, value_name = "SCREEN")]
    screen: Option<String>,
    /// End after so many frames
    #[arg(long, value_name = "N")]
    frames: Option<u64>,
    /// Print one JSON object a frame
    #[arg(long)]
    json: bool,
}

/// How long to wait for a frame before looking at everything else.
const PATIENCE: Duration = Duration::from_millis(200);
/// How long to wait for requests at the end.
const END: Duration = Duration::from_secs(3);

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    memory::give_back();
    let config = args.config()?;
    let live = Live::start(args, &config, false)?;
    let session = live.session.clone();
    let outcome = watch(args, &config, live, listeners(&config, &session)?, false);
    end(session);
    outcome
}

impl Args {
    /// The head file that was named.
    #[cfg(feature = "web")]
    pub fn model(&self) -> Option<&PathBuf> {
        self.model.as_ref()
    }

    /// The settings that hold.
    pub fn config(&self) -> anyhow::Result<Config> {
        let mut config = self.live.config()?;
        if let Some(screen) = &self.screen {
            config.set_screen(screen);
        }
        config.check()?;
        Ok(config)
    }
}

/// What runs.
pub struct Live {
    pub session: Arc<Session>,
    /// Where frames come from, without passwords.
    #[cfg_attr(not(feature = "web"), expect(dead_code))]
    pub source: String,
    screen: Option<screen::Shown>,
}

impl Live {
    /// Starts all of it. A store that was typed is made if it `may_be_new`.
    pub fn start(args: &Args, config: &Config, may_be_new: bool) -> anyhow::Result<Self> {
        let source = live::source(&args.from, config)?;
        let screen = config.screen()?.map(screen::Shown::start).transpose()?;
        let mind = mind(args, config, may_be_new)?;
        // Last, as the camera has a light that says that it is on.
        let camera = Camera::start(&source, config.camera_settings()?)?;
        let source = source.to_string();
        let session = Arc::new(Session::start(NamedCamera(camera, source.clone()), mind, config.session())?);
        Ok(Self { session, source, screen })
    }
}

fn mind(args: &Args, config: &Config, may_be_new: bool) -> anyhow::Result<Mind> {
    let head = args.model.as_ref().or(config.head.as_ref());
    if let Some(store) = &config.store {
        if let Some(head) = head {
            live::check_head_path(head, store)?;
        }
        // A store that the settings name is made at the first start; one that was typed should be there.
        if args.live.store.is_some() && !may_be_new && !store.exists() {
            return Err(SampleStoreError::NotFound { path: store.clone() }.into());
        }
        match (live::teacher(config, store), head) {
            (Ok(teacher), _) => return Ok(Mind::Teacher(Box::new(teacher))),
            // What was measured last is better than nothing.
            (Err(error), Some(head)) if is_unusable(&error) && head.is_file() => {
                message(format_args!("{error:#}; watching with {} meanwhile", head.display()));
            }
            (Err(error), _) => return Err(error),
        }
    }
    let Some(path) = head else {
        bail!("there is nothing to watch with; give --store FILE.store, or --model HEAD.graft");
    };
    let model = Model::open(path)?;
    if model.recipe.is_some() || model.raw_trunk().is_some_and(|trunk| trunk.columns().is_some()) {
        bail!("{}: a head for texts or rows sees nothing; give one for photos", path.display());
    }
    let trunk = BackboneArgs::of(config.backbone.clone()).trunk_of(&model, path)?;
    let classifier = Classifier::new(model, Arc::new(trunk)).with_context(|| path.display().to_string())?;
    Ok(Mind::Fixed(Box::new(classifier)))
}

/// Whether it is the store that cannot be used, though it is one.
fn is_unusable(error: &anyhow::Error) -> bool {
    let of_store = |error: &SampleStoreError| {
        use SampleStoreError::{Busy, Damaged, DiskFull, Io, Newer, ReadOnly};
        matches!(error, Damaged { .. } | Newer { .. } | Io { .. } | DiskFull { .. } | ReadOnly { .. } | Busy { .. })
    };
    error.chain().any(|cause| {
        cause.downcast_ref().is_some_and(of_store)
            || matches!(cause.downcast_ref(), Some(TeachError::Store(error)) if of_store(error))
    })
}

/// Who else is told what happens.
pub trait Listener {
    /// Something happened.
    fn happened(&self, event: &LiveEvent);
    /// Something new is seen.
    fn seen(&self, seen: &Seen);
    /// What it has to say itself.
    fn messages(&self) -> Vec<String>;
}

/// Those that the settings name.
pub fn listeners(config: &Config, session: &Arc<Session>) -> anyhow::Result<Vec<Box<dyn Listener>>> {
    let mut listeners: Vec<Box<dyn Listener>> = Vec::new();
    #[cfg(feature = "mqtt")]
    listeners.extend(broker::Broker::start(config, session)?.map(|broker| Box::new(broker) as _));
    #[cfg(feature = "gpio")]
    listeners.extend(buttons::Buttons::start(config.panel(), session)?.map(|buttons| Box::new(buttons) as _));
    #[cfg(not(any(feature = "mqtt", feature = "gpio")))]
    let _ = (config, session, &mut listeners);
    Ok(listeners)
}

/// Ends the loop and the camera's program. A request that is under way may have the session for a moment yet.
pub fn end(mut session: Arc<Session>) {
    session.close();
    let start = Instant::now();
    while start.elapsed() < END {
        match Arc::try_unwrap(session) {
            Ok(last) => return drop(last),
            Err(shared) => session = shared,
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Prints what is seen, until the program is told to stop; or until there are no more frames, unless it `stays`.
pub fn watch(
    args: &Args,
    config: &Config,
    live: Live,
    listeners: Vec<Box<dyn Listener>>,
    stays: bool,
) -> anyhow::Result<Outcome> {
    let Live { session, mut screen, .. } = live;
    let session = &*session;
    // A slow camera is no missing one.
    let missing = Duration::from_secs_f64(f64::max(3.0, 2.0 / config.camera.fps));
    let mut out = std::io::stdout();
    let mut terminal = (!args.json && out.is_terminal()).then(terminal::Bars::default);
    let mut service = service::Service::new();
    let stop = signals::stop().context("signals")?;
    let (mut seen_number, mut frames, mut last_frame) = (0, 0u64, None);
    let mut last_label: Option<Option<String>> = None;
    let mut last = Instant::now();
    loop {
        for event in session.events() {
            match &mut terminal {
                Some(bars) => bars.note(&event.to_string()),
                None => message(&event),
            }
            if let (Some(screen), LiveEvent::Camera(_)) = (&mut screen, &event) {
                screen.say(&event.to_string());
            }
            listeners.iter().for_each(|listener| listener.happened(&event));
        }
        for text in listeners.iter().flat_map(|listener| listener.messages()) {
            match &mut terminal {
                Some(bars) => bars.note(&text),
                None => message(&text),
            }
        }
        let newer = session.newer(seen_number, PATIENCE);
        service.beat(session, &newer);
        match newer {
            // A page stays when there are no more frames: what was taught can still be looked at.
            Newer::Over if stays && !session.has_panicked() => std::thread::sleep(PATIENCE),
            Newer::Over => break,
            Newer::Waiting => {
                if let Some(screen) = screen.as_ref().filter(|_| last.elapsed() > missing) {
                    screen.no_camera();
                }
            }
            Newer::Value(number, seen) => {
                (seen_number, last) = (number, Instant::now());
                let is_new_frame = last_frame != Some(seen.number);
                (last_frame, frames) = (Some(seen.number), frames + u64::from(is_new_frame));
                listeners.iter().for_each(|listener| listener.seen(&seen));
                if args.json {
                    writeln!(out, "{}", to_json(&seen))?;
                    out.flush()?;
                } else if let Some(bars) = &mut terminal {
                    bars.show(&mut out, &seen)?;
                } else if last_label.as_ref() != Some(&seen.label) {
                    writeln!(out, "{}", line(&seen))?;
                    out.flush()?;
                    last_label = Some(seen.label.clone());
                }
                if let Some(screen) = &screen {
                    screen.show(seen);
                }
            }
        }
        if let Some(error) = screen.as_ref().and_then(screen::Shown::failed) {
            message(format_args!("the screen: {error}; it is tried again"));
        }
        if stop.load(Ordering::Relaxed) {
            // That no frame has come is no failure then.
            frames = frames.max(1);
            break;
        }
        if args.frames.is_some_and(|most| frames >= most) {
            break;
        }
    }
    for event in session.events() {
        message(&event);
    }
    if session.has_panicked() {
        message("the loop has ended by a fault of the program; start it again");
        return Ok(Outcome::SomethingFailed);
    }
    match frames {
        0 => bail!("no frame has come from {}", args.from),
        _ => Ok(Outcome::Done),
    }
}

/// `cat        93.1 %`, for a label that has come to stay.
fn line(seen: &Seen) -> String {
    let Some(label) = &seen.label else { return "-".to_owned() };
    let class = seen.labels.iter().position(|name| name == label);
    let probability = class.zip(seen.prediction.as_ref()).map(|(class, prediction)| prediction.probabilities[class]);
    format!("{:<10} {}", plain(label), probability.map_or(String::new(), |p| percent(p.into())))
}

fn to_json(seen: &Seen) -> Value {
    let probabilities = seen.prediction.as_ref().map(|prediction| {
        let pairs = seen.labels.iter().zip(&prediction.probabilities);
        pairs.map(|(label, p)| (label.clone(), json!(p))).collect::<Map<_, _>>()
    });
    json!({
        "frame": seen.number,
        "time": seen.time.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_millis() as f64 / 1e3,
        "label": seen.label,
        "class": seen.prediction.as_ref().map(|prediction| &seen.labels[usize::from(prediction.class())]),
        "unknown": seen.prediction.as_ref().and_then(|prediction| prediction.unknown),
        "probabilities": probabilities,
        "drift": seen.drift,
        "taught": seen.taught,
        "trunk_ms": seen.trunk_time.as_secs_f64() * 1e3,
        "head_ms": seen.head_time.as_secs_f64() * 1e3,
        "fps": seen.fps,
        "dropped": seen.counts.dropped,
    })
}
