//! A source from its start to its end: a thread reads pictures and puts each where the newest one is taken from.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use image::RgbImage;

use super::event::{self, Event, EventKind};
use super::huffman::with_tables;
use super::mjpeg::Splitter;
use super::pool::Pool;
use super::process::Process;
use super::program::Framing;
use super::route::{self, Route};
use super::settings::{Pace, Settings};
use super::slot::{Closed, Slot, Taken};
use super::yuv::{self, Range};
use super::{Counts, Frame};
use crate::live::log::Log;
use crate::vision;

/// How long a program whose output has ended may take to end.
const PATIENCE: Duration = Duration::from_millis(500);
/// Bytes that are read at a time of a stream of JPEGs.
const CHUNK: usize = 64 << 10;

/// What all threads of a camera have in common.
pub(super) struct Shared {
    /// The newest frame; closed when the camera is dropped or the source is over.
    pub frames: Slot<Frame>,
    pub pool: Pool,
    pub log: Log<Event>,
    captured: AtomicU64,
    dropped: AtomicU64,
    damaged: AtomicU64,
}

impl Shared {
    pub(super) fn new() -> Self {
        let [captured, dropped, damaged] = [const { AtomicU64::new(0) }; 3];
        Self { frames: Slot::new(), pool: Pool::new(), log: Log::default(), captured, dropped, damaged }
    }

    pub(super) fn counts(&self) -> Counts {
        let [captured, dropped, damaged] =
            [&self.captured, &self.dropped, &self.damaged].map(|count| count.load(Ordering::Relaxed));
        Counts { captured, dropped, damaged }
    }

    /// A picture was passed over, as a newer one came before it was taken.
    pub(super) fn drop_buffer(&self, buffer: Vec<u8>) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
        self.pool.give(buffer);
    }

    pub(super) fn add_damage(&self, count: u64, reason: String) {
        self.damaged.fetch_add(count, Ordering::Relaxed);
        event::add(&self.log, EventKind::Damaged { count, reason });
    }
}

/// A picture as it came.
pub(super) struct Picture {
    pub pixels: Pixels,
    /// How many came before.
    pub number: u64,
    pub time: SystemTime,
}

/// Pixels as they came.
pub(super) enum Pixels {
    Rgb { bytes: Vec<u8>, width: u32, height: u32 },
    I420 { bytes: Vec<u8>, width: u32, height: u32 },
    Yuyv { bytes: Vec<u8>, stride: usize, width: u32, height: u32 },
    Jpeg(Vec<u8>),
    Photo(PathBuf),
}

impl Pixels {
    /// Decodes, or says why not; buffers are taken from and given to the pool.
    pub(super) fn decode(self, pool: &Pool) -> Result<RgbImage, String> {
        let (rgb, width, height) = match self {
            Self::Rgb { bytes, width, height } => (bytes, width, height),
            Self::I420 { bytes, width, height } => {
                let mut rgb = pool.take(3 * width as usize * height as usize);
                yuv::i420_to_rgb(&bytes, width, height, Range::Full, &mut rgb);
                pool.give(bytes);
                (rgb, width, height)
            }
            Self::Yuyv { bytes, stride, width, height } => {
                let mut rgb = pool.take(3 * width as usize * height as usize);
                yuv::yuyv_to_rgb(&bytes, stride, width, Range::Limited, &mut rgb);
                pool.give(bytes);
                (rgb, width, height)
            }
            Self::Jpeg(bytes) => return vision::decode(&with_tables(bytes)).map_err(|error| error.to_string()),
            Self::Photo(path) => return vision::open(&path).map_err(|error| error.to_string()),
        };
        Ok(RgbImage::from_raw(width, height, rgb).expect("three bytes a pixel"))
    }

    fn into_buffer(self) -> Vec<u8> {
        match self {
            Self::Rgb { bytes, .. } | Self::I420 { bytes, .. } | Self::Yuyv { bytes, .. } => bytes,
            // These are not taken from the pool, and would push out what is.
            Self::Jpeg(_) | Self::Photo(_) => Vec::new(),
        }
    }
}

/// Where a reading thread puts its pictures. That of an earlier run, which may still be blocked, has a closed one.
pub(super) struct Outlet {
    slot: Slot<Picture>,
    failure: Mutex<Option<String>>,
    shared: Arc<Shared>,
}

impl Outlet {
    pub(super) fn pool(&self) -> &Pool {
        &self.shared.pool
    }

    #[cfg(target_os = "linux")]
    pub(super) fn is_closed(&self) -> bool {
        self.slot.is_closed_within(Duration::ZERO)
    }

    #[cfg(target_os = "linux")]
    pub(super) fn add_damage(&self, reason: &str) {
        self.shared.add_damage(1, reason.to_owned());
    }

    /// Puts a picture in the place of the one before.
    pub(super) fn put(&self, pixels: Pixels) -> Result<(), Closed> {
        let number = self.shared.captured.fetch_add(1, Ordering::Relaxed);
        let before = self.slot.put(Picture { pixels, number, time: SystemTime::now() })?;
        if let Some(before) = before {
            self.shared.drop_buffer(before.pixels.into_buffer());
        }
        Ok(())
    }
}

/// Closes the outlet when the reading thread ends, even by a panic.
struct CloseAtEnd(Arc<Outlet>);

impl Drop for CloseAtEnd {
    fn drop(&mut self) {
        self.0.slot.close();
    }
}

/// Puts pictures into the outlet until the source ends or the outlet is closed; or says why it cannot.
type Reader = Box<dyn FnOnce(&Outlet) -> Result<(), String> + Send>;

/// A running source.
pub(super) struct Run {
    outlet: Arc<Outlet>,
    process: Option<Process>,
}

impl Run {
    pub(super) fn begin(route: &Route, settings: &Settings, shared: &Arc<Shared>) -> io::Result<Self> {
        let outlet = Outlet { slot: Slot::new(), failure: Mutex::new(None), shared: Arc::clone(shared) };
        let outlet = Arc::new(outlet);
        let mut process = None;
        let reader: Reader = match route {
            Route::Program { command, url, .. } => {
                let (started, stdout) = Process::start(command, settings)?;
                process = Some(started);
                let framing = command.framing;
                // Others are told how many to send.
                let pace = url.as_ref().map(|_| Pace::new(settings));
                Box::new(move |outlet| read(stdout, framing, pace, outlet))
            }
            &Route::Stdin(framing) => Box::new(move |outlet| read(io::stdin(), framing, None, outlet)),
            Route::Folder(folder) => {
                let (folder, settings) = (folder.clone(), settings.clone());
                Box::new(move |outlet| play(&folder, &settings, outlet))
            }
            #[cfg(target_os = "linux")]
            Route::V4l2(device) => {
                let (device, settings) = (device.clone(), settings.clone());
                Box::new(move |outlet| super::v4l2::read(&device, &settings, outlet))
            }
        };
        let closed_at_end = CloseAtEnd(Arc::clone(&outlet));
        // It is not waited for: nothing can end its reading from standard input or from a device that sends nothing. It ends
        // with its next picture.
        thread::Builder::new().name("camera reader".to_owned()).spawn(move || {
            let outlet = &closed_at_end.0;
            if let Err(failure) = reader(outlet) {
                *outlet.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
            }
        })?;
        Ok(Self { outlet, process })
    }

    /// The newest picture.
    pub(super) fn next(&self, timeout: Duration) -> Taken<Picture> {
        self.outlet.slot.take(timeout)
    }

    /// After the last picture: how it ended, and the program's last line.
    pub(super) fn end(mut self) -> (String, Option<String>) {
        let failure = self.outlet.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (how, last_line) = self.process.as_mut().map_or((None, None), |process| process.end(PATIENCE));
        (failure.or(how).unwrap_or_else(|| "no more frames".to_owned()), last_line)
    }

    /// Ends it now.
    pub(super) fn stop(mut self) {
        self.outlet.slot.close();
        if let Some(process) = &mut self.process {
            process.end(Duration::ZERO);
        }
    }
}

/// Reads a stream to its end.
fn read(mut stream: impl Read, framing: Framing, pace: Option<Pace>, outlet: &Outlet) -> Result<(), String> {
    let read = match framing {
        Framing::Jpegs => read_jpegs(&mut stream, outlet),
        Framing::Rgb { width, height } => {
            let len = 3 * width as usize * height as usize;
            read_raw(&mut stream, len, pace, outlet, |bytes| Pixels::Rgb { bytes, width, height })
        }
        Framing::I420 { width, height } => {
            let len = yuv::i420_len(width, height);
            read_raw(&mut stream, len, pace, outlet, |bytes| Pixels::I420 { bytes, width, height })
        }
    };
    match read {
        // A frame that the end has cut is no failure.
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(format!("cannot read its output: {error}")),
        _ => Ok(()),
    }
}

fn read_raw(
    stream: &mut impl Read,
    len: usize,
    mut pace: Option<Pace>,
    outlet: &Outlet,
    pixels: impl Fn(Vec<u8>) -> Pixels,
) -> io::Result<()> {
    loop {
        let mut bytes = outlet.pool().take(len);
        stream.read_exact(&mut bytes)?;
        if pace.as_mut().is_some_and(|pace| !pace.takes(Instant::now())) {
            outlet.pool().give(bytes);
            continue;
        }
        if outlet.put(pixels(bytes)).is_err() {
            return Ok(());
        }
    }
}

fn read_jpegs(stream: &mut impl Read, outlet: &Outlet) -> io::Result<()> {
    let (mut splitter, mut buffer) = (Splitter::new(), vec![0; CHUNK]);
    loop {
        let n = match stream.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            n => n?,
        };
        match n {
            0 => splitter.finish(),
            n => splitter.push(&buffer[..n]),
        }
        while let Some(picture) = splitter.next() {
            if outlet.put(Pixels::Jpeg(picture)).is_err() {
                return Ok(());
            }
        }
        match splitter.take_damaged() {
            0 => {}
            count => outlet.shared.add_damage(count, "it is cut, or no JPEG".to_owned()),
        }
        if n == 0 {
            return Ok(());
        }
    }
}

/// Plays the photos of a folder.
fn play(folder: &Path, settings: &Settings, outlet: &Outlet) -> Result<(), String> {
    let interval = Duration::from_secs_f64(1.0 / settings.fps);
    let mut due = Instant::now();
    loop {
        // Again each time: photos may have come.
        for photo in route::photos(folder).map_err(|error| error.to_string())? {
            let wait = due.saturating_duration_since(Instant::now());
            if outlet.slot.is_closed_within(wait) || outlet.put(Pixels::Photo(photo)).is_err() {
                return Ok(());
            }
            due = Instant::now().max(due) + interval;
        }
        if !settings.repeat {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_divided_into_pictures_of_their_size() {
        let shared = Arc::new(Shared::new());
        let outlet = Outlet { slot: Slot::new(), failure: Mutex::new(None), shared: Arc::clone(&shared) };
        let framing = Framing::Rgb { width: 2, height: 2 };
        // Two, and half of a third.
        let stream: Vec<u8> = (0..30).collect();
        read(&stream[..], framing, None, &outlet).unwrap();
        let Taken::Value(picture) = outlet.slot.take(Duration::ZERO) else { panic!("no picture") };
        assert_eq!(picture.number, 1);
        let image = picture.pixels.decode(&shared.pool).unwrap();
        assert_eq!((image.dimensions(), &image.as_raw()[..]), ((2, 2), &stream[12..24]));
        assert_eq!(shared.counts(), Counts { captured: 2, dropped: 1, damaged: 0 });
        // Nobody wants them any more: it does not read on.
        outlet.slot.close();
        read(io::repeat(7), framing, None, &outlet).unwrap();
        read(io::repeat(7).take(1 << 20), Framing::Jpegs, None, &outlet).unwrap();
    }
}
