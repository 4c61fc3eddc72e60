//! `topgraft teach`: what a camera or photos show -> samples in a store, and the head of them.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, bail};
use serde_json::{Value, json};
use topgraft::learn::{Evaluation, TeachError, Teacher, photos_below, settle};
use topgraft::live::Config;
use topgraft::live::camera::{Camera, Next, Source};
use topgraft::store::{Batch, Taught, check_name};
use topgraft::vision::encode_jpeg;

use super::Outcome;
use super::live::{self, LiveArgs};
use super::memory;
use super::message::message;
use super::photos::progress_bar_of;
use super::signals;
use super::text::{counted, duration, percent, plain, plain_path};

/// Teach what a camera or photos show; what was taught stays in a file, and can be undone
#[derive(clap::Args)]
pub struct Args {
    /// Name of what is shown
    #[arg(short, long, value_name = "NAME")]
    class: String,
    /// `camera` (that of the settings, rpicam if they name none), or another source: a folder of photos, a photo, /dev/video0,
    /// rpicam:1, http://..., rtsp://..., a video file, `-`
    #[arg(short, long, value_name = "SOURCE", default_value = "camera")]
    from: String,
    #[command(flatten)]
    live: LiveArgs,
    /// Frames to teach from a camera
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    shots: u32,
    /// Seconds between them [default: 0.25, or what the settings say]: show it from all sides meanwhile
    #[arg(long, value_name = "SECONDS")]
    every: Option<f64>,
    /// Head file to write [default: what the settings say, else none]; a head file that is there is replaced
    #[arg(short, long, value_name = "HEAD.graft")]
    output: Option<PathBuf>,
    /// Do not measure the head
    #[arg(long, conflicts_with = "output")]
    no_measure: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What was taught.
#[derive(Default)]
struct Lessons {
    new: u32,
    known: u32,
    moved: Vec<(i64, String)>,
    skipped: Vec<String>,
    gone: Vec<(i64, String)>,
    /// From a frame to a head that knows it.
    times: Vec<Duration>,
    batch: Option<Batch>,
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    memory::give_back();
    let mut config = args.live.config()?;
    if let Some(every) = args.every {
        config.teaching.every = every;
    }
    config.check()?;
    let Some(store) = config.store.clone() else { bail!("there is no store to teach in; name one by --store") };
    let output = args.output.clone().or(config.head.clone()).filter(|_| !args.no_measure);
    if let Some(path) = &output {
        live::check_head_path(path, &store)?;
    }
    check_name(&args.class)?;
    let source = live::source(&args.from, &config)?;
    let shown = match photos_of(&source)? {
        Some(photos) => Shown::Photos(photos),
        None => Shown::Camera(Camera::start(&source, config.camera_settings()?)?, source),
    };
    let was_there = store.exists();
    let taught = teach(args, &config, &store, shown, output);
    if taught.is_err() {
        live::remove_if_new_and_empty(&store, was_there);
    }
    taught
}

/// What is taught.
enum Shown {
    Photos(Vec<PathBuf>),
    Camera(Camera, Source),
}

fn teach(args: &Args, config: &Config, store: &Path, shown: Shown, output: Option<PathBuf>) -> anyhow::Result<Outcome> {
    let stop = signals::stop().context("signals")?;
    let mut teacher = live::teacher(config, store)?;
    let mut all_good = live::extract(&mut teacher, &stop)?;
    let mut lessons = Lessons::default();
    match shown {
        Shown::Photos(photos) => teach_photos(&mut teacher, &args.class, &photos, &stop, &mut lessons)?,
        Shown::Camera(camera, source) => {
            teach_frames(&mut teacher, args, config, (&camera, &source), &stop, &mut lessons)?;
        }
    }
    all_good &= lessons.skipped.is_empty();
    // Who is in a hurry does not wait for it; the next one measures.
    let measured = match args.no_measure || stop.load(Ordering::Relaxed) {
        true => Measured::NotAsked,
        false => measure(&mut teacher, output.as_deref())?,
    };
    let summary = Summary { store: store.to_path_buf(), lessons, measured, output };
    summary.print(args, &teacher)?;
    Ok(if all_good { Outcome::Done } else { Outcome::SomeInputBad })
}

/// The photos, if that is what the source is: their files are taught as they are.
fn photos_of(source: &Source) -> anyhow::Result<Option<Vec<PathBuf>>> {
    let Source::Path(path) = source else { return Ok(None) };
    if path.is_dir() {
        let photos = photos_below(path)?;
        if photos.is_empty() {
            bail!("{}: there are no photos in this folder", path.display());
        }
        let folders: BTreeSet<_> = photos.iter().map(|photo| photo.parent()).collect();
        if folders.len() > 1 && !folders.contains(&Some(path.as_path())) {
            message(format_args!(
                "{}: the photos of its {} folders are taken for one class; `topgraft store import` makes a class of each",
                path.display(),
                folders.len()
            ));
        }
        return Ok(Some(photos));
    }
    Ok(topgraft::vision::is_photo_name(path).then(|| vec![path.clone()]))
}

fn teach_photos(
    teacher: &mut Teacher,
    class: &str,
    photos: &[PathBuf],
    stop: &AtomicBool,
    lessons: &mut Lessons,
) -> anyhow::Result<()> {
    let bar = progress_bar_of(photos.len(), "photos");
    for path in photos {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let place = path.display();
        let time = path.metadata().and_then(|file| file.modified()).unwrap_or_else(|_| SystemTime::now());
        let taught = topgraft::vision::read(path).map_err(|error| error.to_string()).map(|photo| {
            let start = Instant::now();
            (start, teacher.teach(class, &photo, &place.to_string(), time, lessons.batch))
        });
        match taught {
            Ok((start, taught)) => lessons.take(&place.to_string(), taught, start)?,
            Err(error) => {
                message(format_args!("skipped {error}"));
                lessons.skipped.push(error);
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    if lessons.new == 0 && lessons.known == 0 && lessons.moved.is_empty() && !stop.load(Ordering::Relaxed) {
        bail!("none of the photos can be used");
    }
    Ok(())
}

fn teach_frames(
    teacher: &mut Teacher,
    args: &Args,
    config: &Config,
    (camera, source): (&Camera, &Source),
    stop: &AtomicBool,
    lessons: &mut Lessons,
) -> anyhow::Result<()> {
    let bar = progress_bar_of(args.shots as usize, "frames");
    let every = Duration::from_secs_f64(config.teaching.every);
    let mut last: Option<Instant> = None;
    let mut said = 0;
    while bar.position() < u64::from(args.shots) && !stop.load(Ordering::Relaxed) {
        for event in camera.events() {
            said += 1;
            bar.suspend(|| message(format_args!("camera: {event}")));
        }
        match camera.next(Duration::from_millis(100)) {
            Next::Nothing => {}
            Next::Over => break,
            Next::Frame(frame) if last.is_some_and(|last| last.elapsed() < every) => camera.recycle(frame),
            Next::Frame(frame) => {
                let start = Instant::now();
                last = Some(start);
                let place = source.to_string();
                let taught = teacher.teach(&args.class, &encode_jpeg(&frame.image), &place, frame.time, lessons.batch);
                lessons.take(&place, taught, start)?;
                camera.recycle(frame);
                bar.inc(1);
            }
        }
    }
    let taught = bar.position();
    bar.finish_and_clear();
    if taught == 0 && !stop.load(Ordering::Relaxed) {
        bail!("{source} has given no frame{}", if said > 0 { "" } else { "; is something connected there?" });
    }
    if taught < u64::from(args.shots) {
        let dropped = camera.counts().dropped;
        let late =
            if dropped > 0 { format!("; {dropped} more came faster than they could be taught") } else { String::new() };
        message(format_args!("ended after {}{late}", counted(taught as usize, "frame")));
    }
    Ok(())
}

impl Lessons {
    /// A photo that cannot be used is skipped; a store that fails ends it.
    fn take(
        &mut self,
        place: &str,
        taught: Result<topgraft::learn::Lesson, TeachError>,
        start: Instant,
    ) -> anyhow::Result<()> {
        let lesson = match taught {
            Err(TeachError::Decode(error)) => {
                message(format_args!("skipped {place}: {error}"));
                self.skipped.push(format!("{place}: {error}"));
                return Ok(());
            }
            other => other.with_context(|| place.to_owned())?,
        };
        self.times.push(start.elapsed());
        self.batch = Some(lesson.batch);
        self.gone.extend(lesson.made_room.samples);
        match lesson.taught {
            Taught::New { .. } => self.new += 1,
            Taught::Known { .. } => self.known += 1,
            Taught::Moved { id, from } => self.moved.push((id, from)),
        }
        Ok(())
    }
}

/// What came of measuring.
enum Measured {
    NotAsked,
    /// It takes two classes.
    OneClass,
    /// A class that has one sample, from which none can be left out.
    TooFew(String),
    /// Another program changes the samples all the time.
    Outdated,
    Done(Evaluation, Duration),
}

impl Measured {
    fn evaluation(&self) -> Option<&Evaluation> {
        match self {
            Self::Done(evaluation, _) => Some(evaluation),
            _ => None,
        }
    }
}

/// How often it is tried while another program changes the samples.
const TRIES: usize = 3;

/// Measures the head, keeps it as a version, and writes its file.
fn measure(teacher: &mut Teacher, output: Option<&Path>) -> anyhow::Result<Measured> {
    let start = Instant::now();
    for _ in 0..TRIES {
        let snapshot = teacher.snapshot()?;
        if !snapshot.is_measurable() {
            return Ok(snapshot.class_of_one().map_or(Measured::OneClass, |class| Measured::TooFew(class.to_owned())));
        }
        let settled = settle(&snapshot, teacher.trunk())?;
        let (evaluation, model) = (settled.evaluation.clone(), settled.model.clone());
        if teacher.settled(settled)?.is_some() {
            if let Some(path) = output {
                model.save(path, true)?;
            }
            return Ok(Measured::Done(evaluation, start.elapsed()));
        }
        teacher.refresh()?;
    }
    Ok(Measured::Outdated)
}

struct Summary {
    store: PathBuf,
    lessons: Lessons,
    measured: Measured,
    output: Option<PathBuf>,
}

impl Summary {
    fn print(&self, args: &Args, teacher: &Teacher) -> anyhow::Result<()> {
        let Lessons { new, known, moved, skipped, gone, times, .. } = &self.lessons;
        let classes = teacher.store().classes()?;
        let mut times = times.clone();
        times.sort();
        let median = times.get(times.len() / 2).copied().unwrap_or_default();
        let mut out = std::io::stdout().lock();
        if args.json {
            let named = |pairs: &[(i64, String)]| {
                pairs.iter().map(|(id, class)| json!({ "id": id, "class": class })).collect::<Value>()
            };
            let summary = json!({
                "store": self.store.display().to_string(),
                "class": args.class,
                "new": new,
                "known": known,
                "moved": named(moved),
                "skipped": skipped,
                "gone": named(gone),
                "seconds_a_sample": median.as_secs_f64(),
                "classes": classes.iter().map(|(name, count)| json!({ "name": name, "samples": count })).collect::<Value>(),
                "evaluation": self.measured.evaluation().map(|evaluation| json!({
                    "n_samples": evaluation.n_samples(),
                    "correct": evaluation.correct(),
                    "accuracy": evaluation.accuracy(),
                    "interval": evaluation.interval(),
                    "majority": evaluation.majority(),
                })),
                "head": self.output.as_ref().filter(|_| self.measured.evaluation().is_some()).map(|path| path.display().to_string()),
            });
            writeln!(out, "{summary}")?;
            return Ok(());
        }
        writeln!(out, "taught     {}: {} new, {known} known, {} a sample", plain(&args.class), new, duration(median))?;
        for (id, from) in moved {
            writeln!(out, "moved      sample {id} was {}", plain(from))?;
        }
        if !gone.is_empty() {
            writeln!(out, "gone       {} that were the oldest, to make room", counted(gone.len(), "sample"))?;
        }
        let shown: Vec<String> = classes.iter().map(|(name, count)| format!("{} {count}", plain(name))).collect();
        writeln!(out, "classes    {}: {}", classes.len(), shown.join(", "))?;
        match &self.measured {
            Measured::Done(evaluation, time) => {
                let [from, to] = evaluation.interval().map(|bound| 100.0 * bound);
                writeln!(
                    out,
                    "accuracy   {} on left-out samples ({}), 95 % interval {from:.1} to {to:.1} %",
                    percent(evaluation.accuracy()),
                    duration(*time)
                )?;
                writeln!(
                    out,
                    "naive      {} by always saying the largest class",
                    percent(f64::from(evaluation.majority()) / f64::from(evaluation.n_samples()))
                )?;
                match &self.output {
                    Some(path) => writeln!(out, "written    {}", plain_path(path))?,
                    None => writeln!(out, "kept       in {}", plain_path(&self.store))?,
                }
            }
            Measured::NotAsked => {}
            Measured::OneClass => writeln!(out, "head       none yet: it takes two classes, and two samples of each")?,
            Measured::TooFew(class) => {
                writeln!(out, "head       not measured: `{}` has one sample, and it takes two", plain(class))?;
            }
            Measured::Outdated => writeln!(out, "head       not measured: another program is changing the samples")?,
        }
        Ok(())
    }
}
