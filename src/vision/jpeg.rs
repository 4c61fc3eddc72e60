//! The segments of a JPEG stream, as far as they tell whether it is whole and how large the photo is.
//!
//! The decoder behind `image` paints what is missing of a cut JPEG grey and reports success. A half-copied photo
//! would then be learned from in silence, so it is found here, before decoding. Reading the size here too spares a
//! folder scan from reading whole files: that decoder reads to the end of the file before it looks at the header.
//!
//! A stream is a sequence of markers, `0xFF` and a code, most of them followed by a length and a payload; the
//! compressed pixels follow the payload of a start-of-scan marker (ITU-T T.81, annex B).

use std::io::{self, BufRead, Seek};

const SOI: u8 = 0xD8;
const EOI: u8 = 0xD9;

/// Whether the stream reaches its end-of-image marker.
///
/// Segments are walked by their lengths, so that the marker of a thumbnail inside of the EXIF segment does not count;
/// what follows the marker (padding, a second picture, a phone's video clip) is not looked at.
pub(super) fn is_whole(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Ok((marker, len)) = next_segment(&mut rest) {
        if marker == EOI {
            return true;
        }
        match rest.get(len.into()..) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    false
}

/// What the frame header says.
#[derive(Debug, PartialEq)]
pub(super) struct Frame {
    /// Pixels, as stored.
    pub width: u32,
    /// Pixels, as stored.
    pub height: u32,
    /// Whether all coefficients are kept until the last scan: two bytes for each of three channels.
    pub progressive: bool,
}

/// The frame header.
///
/// # Errors
/// The stream's own, `UnexpectedEof` where it is cut, `InvalidData` where it has no frame header.
pub(super) fn frame(stream: &mut (impl BufRead + Seek)) -> io::Result<Frame> {
    loop {
        match next_segment(stream)? {
            // Start of frame: SOF0 to SOF15, but for the three codes among them that mean something else.
            (marker @ (0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF), _) => {
                let mut frame = [0; 5];
                stream.read_exact(&mut frame)?;
                let [_precision, h1, h0, w1, w0] = frame;
                let [width, height] = [[w1, w0], [h1, h0]].map(|side| u16::from_be_bytes(side).into());
                // SOF2, 6, 10 and 14.
                return Ok(Frame { width, height, progressive: marker & 3 == 2 });
            }
            (EOI, _) => return Err(io::Error::new(io::ErrorKind::InvalidData, "the JPEG has no frame header")),
            (_, len) => stream.seek_relative(len.into())?,
        }
    }
}

/// The next marker and the length of its payload in bytes; the stream is left at the payload.
fn next_segment(stream: &mut impl BufRead) -> io::Result<(u8, u16)> {
    loop {
        // Between two segments is compressed data, or garbage, which decoders skip as well.
        stream.skip_until(0xFF)?;
        let mut code = [0xFF];
        while code == [0xFF] {
            stream.read_exact(&mut code)?;
        }
        match code[0] {
            // A stuffed 0xFF of the compressed data, and the markers inside of it (TEM, RST0 to RST7).
            0x00 | 0x01 | 0xD0..=0xD7 => {}
            marker @ (SOI | EOI) => return Ok((marker, 0)),
            marker => {
                let mut len = [0; 2];
                stream.read_exact(&mut len)?;
                // The length counts itself.
                return Ok((marker, u16::from_be_bytes(len).saturating_sub(2)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// SOI, an APP1 segment that holds a whole tiny JPEG, SOF0 of 3 x 2 pixels, SOS, data, EOI.
    const STREAM: &[u8] = &[
        0xFF, 0xD8, // SOI
        0xFF, 0xE1, 0, 6, 0xFF, 0xD8, 0xFF, 0xD9, // APP1 with a thumbnail
        0xFF, 0xFF, 0xC0, 0, 11, 8, 0, 2, 0, 3, 1, 1, 0x11, 0, // a fill byte, SOF0
        0xFF, 0xDA, 0, 2, 7, 0xFF, 0x00, 8, 0xFF, 0xD0, 9, // SOS, data with a stuffed byte and a restart marker
        0xFF, 0xD9, // EOI
    ];

    #[test]
    fn a_stream_is_whole_with_its_last_marker_and_whatever_follows() {
        assert!(is_whole(STREAM));
        assert!(is_whole(&[STREAM, &[0; 100], b"video"].concat()));
        for len in 0..STREAM.len() {
            assert!(!is_whole(&STREAM[..len]), "cut to {len} bytes");
        }
    }

    #[test]
    fn dimensions_come_from_the_frame_header() {
        assert_eq!(frame(&mut Cursor::new(STREAM)).unwrap(), Frame { width: 3, height: 2, progressive: false });
        let cut = frame(&mut Cursor::new(&STREAM[..14])).unwrap_err();
        assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof);
        let empty = frame(&mut Cursor::new([0xFF, SOI, 0xFF, EOI])).unwrap_err();
        assert_eq!(empty.kind(), io::ErrorKind::InvalidData);
    }
}
