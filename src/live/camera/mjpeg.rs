//! A stream of bytes -> JPEG pictures.
//!
//! The pictures stand one behind the other, with whatever between them: the headers of `multipart/x-mixed-replace`, padding,
//! rubbish. A picture is walked by its segments' lengths (ITU-T T.81, annex B), so that the thumbnail within an EXIF segment
//! is neither a picture of its own nor ends the one that it is in.

/// The most bytes of a picture.
pub(super) const MAX_PICTURE: usize = 32 << 20;

const TEM: u8 = 0x01;
const RST0: u8 = 0xD0;
const RST7: u8 = 0xD7;
const SOI: u8 = 0xD8;
const EOI: u8 = 0xD9;
const SOS: u8 = 0xDA;

/// Splits; bytes go in by [`push`](Splitter::push), pictures come out by [`next`](Splitter::next).
///
/// After damage it goes on at the next start of a picture, which it looks for behind the last marker that made sense: the
/// length there may have led over that start. A thumbnail in that last segment is then taken for a picture, as nothing tells
/// the two apart.
pub(super) struct Splitter {
    bytes: Vec<u8>,
    /// Where the picture begins, or what is still to be looked at for one.
    begin: usize,
    /// Where the next marker or compressed byte is, perhaps behind what has come.
    at: usize,
    /// The last marker.
    marker: usize,
    state: State,
    /// Whether nothing more will come.
    ended: bool,
    damaged: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the start of a picture.
    Between,
    /// At a marker; whether compressed data came before.
    Marker { after_scan: bool },
    /// In compressed data.
    Scan,
}

impl Splitter {
    pub(super) fn new() -> Self {
        Self { bytes: Vec::new(), begin: 0, at: 0, marker: 0, state: State::Between, ended: false, damaged: 0 }
    }

    /// Adds bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.begin);
        self.at -= self.begin;
        self.marker = self.marker.saturating_sub(self.begin);
        self.begin = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next picture, if all of it has come.
    pub(super) fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            match self.step() {
                Step::On => {}
                Step::Picture(end) => return Some(self.cut(end)),
                Step::Damage(from) => self.give_up(from),
                // What it waits for may be a length that is wrong, and a picture may be in what that leads over.
                Step::More if self.ended && self.state != State::Between => self.give_up(self.marker + 2),
                Step::More if self.bytes.len() - self.begin > MAX_PICTURE => self.give_up(self.bytes.len()),
                Step::More => return None,
            }
        }
    }

    /// Pictures that were given up since the last call.
    pub(super) fn take_damaged(&mut self) -> u64 {
        std::mem::take(&mut self.damaged)
    }

    /// Nothing more will come: a picture that is not whole is damaged, and others may be found in its bytes.
    pub(super) fn finish(&mut self) {
        self.ended = true;
    }

    fn step(&mut self) -> Step {
        match self.state {
            State::Between => self.find_start(),
            State::Marker { after_scan } => self.read_marker(after_scan),
            State::Scan => self.skip_scan(),
        }
    }

    fn find_start(&mut self) -> Step {
        // With the first byte of the marker that follows: the two alone are frequent in rubbish.
        let start = self.bytes[self.begin..].windows(3).position(|bytes| bytes == [0xFF, SOI, 0xFF]);
        self.begin = match start {
            Some(start) => self.begin + start,
            None => self.begin.max(self.bytes.len().saturating_sub(2)),
        };
        (self.marker, self.at) = (self.begin, self.begin);
        if start.is_none() {
            return Step::More;
        }
        self.at += 2;
        self.state = State::Marker { after_scan: false };
        Step::On
    }

    fn read_marker(&mut self, after_scan: bool) -> Step {
        let Some(&[first, code]) = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk) else { return Step::More };
        let lost = Step::Damage(self.marker + 2);
        if first != 0xFF {
            return lost;
        }
        match code {
            // A fill byte.
            0xFF => self.at += 1,
            TEM | RST0..=RST7 => self.at += 2,
            EOI if after_scan => return Step::Picture(self.at + 2),
            // The rest of the picture is missing: another one begins.
            SOI if after_scan => return Step::Damage(self.at),
            // A start or an end without pixels, or a stuffed byte where none can be.
            SOI | EOI | 0 => return lost,
            _ => {
                let Some(len) = self.bytes.get(self.at + 2..).and_then(<[u8]>::first_chunk) else { return Step::More };
                let len = usize::from(u16::from_be_bytes(*len));
                if len < 2 {
                    return lost;
                }
                self.marker = self.at;
                self.at += 2 + len;
                if code == SOS {
                    self.state = State::Scan;
                }
            }
        }
        Step::On
    }

    /// To the next marker that does not belong to compressed data.
    fn skip_scan(&mut self) -> Step {
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let Some(marker) = rest.iter().position(|&byte| byte == 0xFF) else {
                self.at = self.at.max(self.bytes.len());
                return Step::More;
            };
            self.at += marker;
            match rest.get(marker + 1) {
                None => return Step::More,
                Some(0 | RST0..=RST7) => self.at += 2,
                Some(0xFF) => self.at += 1,
                Some(_) => {
                    self.state = State::Marker { after_scan: true };
                    return Step::On;
                }
            }
        }
    }

    fn cut(&mut self, end: usize) -> Vec<u8> {
        let picture = self.bytes[self.begin..end].to_vec();
        (self.begin, self.at, self.state) = (end, end, State::Between);
        picture
    }

    fn give_up(&mut self, from: usize) {
        self.damaged += u64::from(self.state != State::Between);
        self.begin = from.min(self.bytes.len());
        (self.at, self.state) = (self.begin, State::Between);
    }
}

enum Step {
    On,
    /// A picture that ends there.
    Picture(usize),
    /// No picture; look for one from there on.
    Damage(usize),
    /// Bytes are missing.
    More,
}

#[cfg(test)]
mod tests {
    use image::codecs::jpeg::JpegEncoder;
    use image::{ExtendedColorType, ImageEncoder, RgbImage};

    use super::*;

    /// Marsaglia's xorshift.
    struct Random(u64);

    impl Random {
        fn below(&mut self, end: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 11) as usize % end
        }
    }

    fn jpeg(seed: u32, thumbnail: Option<&[u8]>) -> Vec<u8> {
        let image =
            RgbImage::from_fn(40 + seed % 7, 30, |x, y| image::Rgb([(x * seed) as u8, (y * 5) as u8, (x ^ y) as u8]));
        let mut bytes = Vec::new();
        let mut encoder = JpegEncoder::new_with_quality(&mut bytes, 90);
        if let Some(thumbnail) = thumbnail {
            encoder.set_exif_metadata(thumbnail.to_vec()).unwrap();
        }
        encoder.write_image(&image, image.width(), image.height(), ExtendedColorType::Rgb8).unwrap();
        bytes
    }

    /// Pictures and the count of damaged ones, the stream coming in chunks of up to `chunk` bytes.
    fn split(stream: &[u8], chunk: usize, seed: u64) -> (Vec<Vec<u8>>, u64) {
        let (mut random, mut splitter, mut pictures) = (Random(seed | 1), Splitter::new(), Vec::new());
        let mut rest = stream;
        while !rest.is_empty() {
            let (now, later) = rest.split_at((1 + random.below(chunk)).min(rest.len()));
            splitter.push(now);
            pictures.extend(std::iter::from_fn(|| splitter.next()));
            rest = later;
        }
        splitter.finish();
        pictures.extend(std::iter::from_fn(|| splitter.next()));
        (pictures, splitter.take_damaged())
    }

    #[test]
    fn pictures_come_out_as_they_went_in_whatever_is_between() {
        let mut random = Random(42);
        let pictures: Vec<_> = (1..9).map(|seed| jpeg(seed, (seed % 2 == 0).then_some(&jpeg(99, None)[..]))).collect();
        for seed in 0..60 {
            let mut stream = Vec::new();
            for picture in &pictures {
                match random.below(4) {
                    0 => {}
                    1 => stream.extend_from_slice(
                        format!("\r\n--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n", picture.len())
                            .as_bytes(),
                    ),
                    // Of these, no three bytes are a start.
                    2 => stream.extend((0..random.below(300)).map(|_| [0xFF, 0xD9, 0, 0x41][random.below(4)])),
                    _ => stream.extend((0..random.below(300)).map(|_| [0xD8, 0xD9, 0, 0x41][random.below(4)])),
                }
                stream.extend_from_slice(picture);
            }
            let chunk = [1, 2, 7, 64, 1000, 1 << 20][seed % 6];
            let (seen, damaged) = split(&stream, chunk, seed as u64);
            assert_eq!((seen == pictures, damaged), (true, 0), "seed {seed}");
        }
    }

    #[test]
    fn a_picture_survives_a_cut_one_before_it_wherever_that_is_cut() {
        let (cut, good) = (jpeg(3, Some(&[7; 5000])), jpeg(4, None));
        let mut lost = 0;
        for len in 4..cut.len() {
            let (seen, damaged) = split(&[&cut[..len], &good, &good].concat(), 512, len as u64);
            // The length of the segment that is cut may lead to a marker of a later picture by chance. What comes of it is a
            // matter for the decoder: with the start alone led over, it is the next picture with the header of the cut one.
            lost += usize::from(seen != [good.clone(), good.clone()] || damaged != 1);
        }
        assert!(100 * lost < cut.len(), "{lost} of {}", cut.len());
    }

    #[test]
    fn damage_within_pictures_does_not_stop_the_stream() {
        let good = jpeg(5, Some(&jpeg(6, None)));
        let mut random = Random(7);
        for seed in 0..300 {
            let mut bad = good.clone();
            (0..1 + random.below(8)).for_each(|_| {
                let at = random.below(bad.len());
                bad[at] = random.below(256) as u8;
            });
            // A marker with a length may swallow what follows it, up to 64 KB.
            let padding = vec![0; 1 << 16];
            let stream = [&bad[..], &padding, &good].concat();
            let (seen, _) = split(&stream, 4096, seed);
            assert_eq!(seen.last(), Some(&good), "seed {seed}");
        }
    }

    #[test]
    fn tables_alone_and_the_start_of_a_picture_are_damage() {
        let tables = [&[0xFF, 0xD8, 0xFF, 0xDB, 0, 3, 0][..], &[0xFF, 0xD9]].concat();
        assert_eq!(split(&tables, 3, 1), (vec![], 1));
        assert_eq!(split(&jpeg(1, None)[..200], 50, 1), (vec![], 1));
        assert_eq!(split(b"HTTP/1.0 404 Not Found\r\n\r\n", 5, 1), (vec![], 0));
    }

    #[test]
    fn a_picture_without_an_end_is_given_up() {
        let head = jpeg(2, None);
        let mut splitter = Splitter::new();
        splitter.push(&head[..head.len() - 2]);
        for _ in 0..MAX_PICTURE >> 20 {
            assert_eq!(splitter.next(), None);
            splitter.push(&vec![0x55; 1 << 20]);
        }
        assert_eq!((splitter.next(), splitter.take_damaged()), (None, 1));
        splitter.push(&head);
        assert_eq!(splitter.next(), Some(head));
        assert!(splitter.bytes.len() < 1 << 20);
    }
}
