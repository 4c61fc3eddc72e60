//! Bytes of a head file -> checked view.

use super::error::finite;
use super::{
    ALIGN, CRC_CHUNK_LEN, Calibration, Evaluation, Floats, HEADER_LEN, Halves, MAGIC, MAX_CLASSES, ParseError, VERSION,
    is_plain, is_sound,
};
use crate::crc::crc32;
use crate::head::{Kind, MAX_K, parameter_count};
use crate::math::half;
use crate::preprocess::Preprocess;
use crate::rejection::Rejection;
use crate::scaler::Scaler;

/// A checked view of a head file. Borrows the bytes: flash, a mapped file, a `Vec`.
#[derive(Clone, Copy, Debug)]
pub struct Graft<'a> {
    fingerprint: &'a [u8; 32],
    backbone: &'a str,
    cut: &'a str,
    preprocess: Preprocess,
    labels: Labels<'a>,
    scaler: Scaler<Floats<'a>>,
    n_classes: usize,
    feature_dim: usize,
    kind: Kind,
    l2: f32,
    parameters: Floats<'a>,
    samples: Option<Samples<'a>>,
    evaluation: Option<Evaluation>,
    calibration: Option<Calibration>,
    rejection: Option<Rejection<Floats<'a>, &'a [i8]>>,
    producer: Option<&'a str>,
}

impl<'a> Graft<'a> {
    /// Checks `bytes` from the first to the last and gives a view of them.
    ///
    /// # Errors
    /// The first thing that is wrong, in the order magic, length, version, checksum, chunks.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let mut chunks = Chunks { rest: envelope(bytes)? };
        let mut trunk = chunks.expect("TRNK")?;
        let fingerprint = trunk.array()?;
        let backbone = trunk.text("backbone name")?;
        let cut = trunk.text("cut")?;
        trunk.end()?;

        let mut prep = chunks.expect("PREP")?;
        let preprocess = Preprocess::from_bytes(prep.array()?)?;
        prep.end()?;

        let mut labels = chunks.expect("LABL")?;
        let n_classes = labels.u32()? as usize;
        let names = Labels(labels.rest);
        for _ in 0..n_classes {
            labels.text("label")?;
        }
        labels.end()?;

        let mut scaling = chunks.expect("SCAL")?;
        let kind = scaling.u32()?;
        let head = chunks.next()?.filter(|fields| matches!(&fields.chunk, b"HEAD" | b"NEAR"));
        let mut head = head.ok_or(ParseError::Missing { chunk: "HEAD" })?;
        let is_nearest = head.chunk == *b"NEAR";
        let head_kind = Kind::from_code(head.u32()?).filter(|kind| (*kind == Kind::Nearest) == is_nearest);
        let head_kind = head_kind.ok_or(ParseError::Value { what: "kind of head" })?;
        if head.u32()? as usize != n_classes || !(2..=MAX_CLASSES).contains(&n_classes) {
            return Err(ParseError::Value { what: "number of classes" });
        }
        let feature_dim = head.u32()? as usize;
        let (l2, parameters, samples) = if is_nearest {
            let samples = head.samples(n_classes, feature_dim)?;
            (samples.k as f32, head.floats(0)?, Some(samples))
        } else {
            let (l2, parameters) = head.linear(n_classes, feature_dim)?;
            (l2, parameters, None)
        };
        head.end()?;
        finite("a weight", parameters)?;

        let scaler = match kind {
            0 => Scaler::None,
            1 => Scaler::L2,
            2 => {
                let (mean, scale) = (scaling.floats(feature_dim)?, scaling.floats(feature_dim)?);
                finite("a mean of the scaler", mean)?;
                finite("a scale of the scaler", scale)?;
                if scale.iter().any(|s| s == 0.0) {
                    return Err(ParseError::Value { what: "a scale of the scaler" });
                }
                Scaler::Standard { mean, scale }
            }
            3 => {
                let mean = scaling.floats(feature_dim)?;
                finite("a mean of the scaler", mean)?;
                Scaler::CentredL2 { mean }
            }
            _ => return Err(ParseError::Value { what: "kind of scaler" }),
        };
        scaling.end()?;

        let (mut evaluation, mut calibration, mut rejection, mut producer) = (None, None, None, None);
        while let Some(mut fields) = chunks.next()? {
            match &fields.chunk {
                b"eval" => {
                    let read = Evaluation {
                        folds: fields.u32()?,
                        n_samples: fields.u32()?,
                        correct: fields.u32()?,
                        majority: fields.u32()?,
                    };
                    let counts = [read.correct, read.majority, read.folds];
                    if read.n_samples == 0 || read.folds == 0 || counts.iter().any(|count| *count > read.n_samples) {
                        return Err(ParseError::Value { what: "the evaluation" });
                    }
                    evaluation = Some(read);
                }
                b"temp" => {
                    let read =
                        Calibration { temperature: fields.f32()?, ece_before: fields.f32()?, ece_after: fields.f32()? };
                    if !read.is_sound() {
                        return Err(ParseError::Value { what: "the temperature" });
                    }
                    calibration = Some(read);
                }
                b"reje" => rejection = Some(fields.rejection(n_classes, feature_dim)?),
                b"made" => producer = Some(fields.text("producer")?),
                // As in PNG: a chunk whose tag starts with a lower-case letter may be passed over.
                [b'a'..=b'z', ..] => continue,
                _ => return Err(ParseError::Unknown { chunk: fields.chunk }),
            }
            fields.end()?;
        }
        Ok(Self {
            fingerprint,
            backbone,
            cut,
            preprocess,
            labels: names,
            scaler,
            n_classes,
            feature_dim,
            kind: head_kind,
            l2,
            parameters,
            samples,
            evaluation,
            calibration,
            rejection,
            producer,
        })
    }

    /// Tags of the chunks of bytes that [`parse`](Self::parse) has passed, in their order but for the last. It takes the last
    /// one of those that may be there once and are there twice; a host with room to spare can be stricter.
    pub fn chunks(bytes: &[u8]) -> impl Iterator<Item = [u8; 4]> {
        let mut chunks = Chunks { rest: envelope(bytes).unwrap_or_default() };
        core::iter::from_fn(move || Some(chunks.next().ok()??.chunk))
    }

    /// SHA-256 that names the trunk: a head belongs to one.
    pub fn fingerprint(&self) -> &'a [u8; 32] {
        self.fingerprint
    }

    /// Name of the backbone, for messages.
    pub fn backbone(&self) -> &'a str {
        self.backbone
    }

    /// Name of the layer whose output are the features.
    pub fn cut(&self) -> &'a str {
        self.cut
    }

    /// How a photo becomes the trunk's input.
    pub fn preprocess(&self) -> Preprocess {
        self.preprocess
    }

    /// Names of the classes, in the order of the weights' rows.
    pub fn labels(&self) -> Labels<'a> {
        self.labels
    }

    /// Scaling of the features before the head.
    pub fn scaler(&self) -> Scaler<Floats<'a>> {
        self.scaler
    }

    /// Number of classes.
    pub fn n_classes(&self) -> usize {
        self.n_classes
    }

    /// Length of a feature vector.
    pub fn feature_dim(&self) -> usize {
        self.feature_dim
    }

    /// How the head was fitted.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// L2 penalty that the head was fitted with; the shrinkage of [`Kind::Lda`], 1 for [`Kind::Prototype`], the number of
    /// neighbours for [`Kind::Nearest`].
    pub fn l2(&self) -> f32 {
        self.l2
    }

    /// Weights `[n_classes, feature_dim]`, then bias `[n_classes]`: a [`Head`](crate::head::Head)'s buffer. Empty for
    /// [`Kind::Nearest`].
    pub fn parameters(&self) -> Floats<'a> {
        self.parameters
    }

    /// What a head of [`Kind::Nearest`] has instead of parameters: the parts of a [`Nearest`](crate::head::Nearest).
    pub fn samples(&self) -> Option<Samples<'a>> {
        self.samples
    }

    /// How good the head was on left-out samples, if that was measured.
    pub fn evaluation(&self) -> Option<Evaluation> {
        self.evaluation
    }

    /// Temperature of the probabilities, if one was fitted; else it is 1.
    pub fn calibration(&self) -> Option<Calibration> {
        self.calibration
    }

    /// What makes a sample unknown; `None` if nothing does.
    pub fn rejection(&self) -> Option<Rejection<Floats<'a>, &'a [i8]>> {
        self.rejection
    }

    /// Program that wrote the file.
    pub fn producer(&self) -> Option<&'a str> {
        self.producer
    }
}

/// The samples of a head of nearest neighbours.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Samples<'a> {
    /// Neighbours that are asked: at least 1, at most `n_samples` and [`MAX_K`].
    pub k: usize,
    /// `[n_samples]`, each below the number of classes.
    pub labels: Halves<'a>,
    /// `[n_samples, feature_dim]`: scaled features in the bits of IEEE 754 binary16, finite.
    pub rows: Halves<'a>,
}

/// Names of the classes.
#[derive(Clone, Copy, Debug)]
pub struct Labels<'a>(&'a [u8]);

impl<'a> Iterator for Labels<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let (len, rest) = self.0.split_first_chunk()?;
        let (text, rest) = rest.split_at_checked(u16::from_le_bytes(*len) as usize)?;
        self.0 = rest;
        core::str::from_utf8(text).ok()
    }
}

/// Checks magic, length, version and checksum; returns the chunks, without the last, which holds the checksum.
fn envelope(bytes: &[u8]) -> Result<&[u8], ParseError> {
    let len = bytes.len();
    if bytes[..len.min(8)] != MAGIC[..len.min(8)] || len == 0 {
        return Err(ParseError::NotAGraft);
    }
    if len < HEADER_LEN + CRC_CHUNK_LEN {
        return Err(ParseError::TooShort { len });
    }
    let stated = u32_at(bytes, 12);
    if stated as usize != len || !len.is_multiple_of(ALIGN) {
        return Err(ParseError::Length { stated, found: len });
    }
    let found = u16::from_le_bytes([bytes[8], bytes[9]]);
    if found != VERSION {
        return Err(ParseError::Version { found });
    }
    if bytes[10..12] != [0; 2] {
        return Err(ParseError::Value { what: "a reserved byte of the header" });
    }
    let (covered, last) = bytes.split_at(len - CRC_CHUNK_LEN);
    if last[..8] != *b"CRC \x04\0\0\0" || last[12..] != [0; 4] {
        return Err(ParseError::Missing { chunk: "CRC" });
    }
    let (stated, computed) = (u32_at(last, 8), crc32(&[covered]));
    if stated != computed {
        return Err(ParseError::Checksum { stated, computed });
    }
    Ok(&covered[HEADER_LEN..])
}

/// Little-endian u32 at `at`, which the caller knows to be inside.
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// The chunks that are left: tag, length, payload, zeros up to a multiple of 8.
struct Chunks<'a> {
    rest: &'a [u8],
}

impl<'a> Chunks<'a> {
    fn next(&mut self) -> Result<Option<Fields<'a>>, ParseError> {
        // `rest` is a multiple of 8 long, so that a head of 8 bytes is whole or not there at all.
        let Some((head, body)) = self.rest.split_first_chunk::<8>() else { return Ok(None) };
        let chunk = [head[0], head[1], head[2], head[3]];
        let wrong = ParseError::ChunkLength { chunk };
        let len = u32_at(head, 4) as usize;
        let padded = len.checked_next_multiple_of(ALIGN).ok_or(wrong)?;
        let (payload, rest) = body.split_at_checked(padded).ok_or(wrong)?;
        let (payload, padding) = payload.split_at(len);
        if padding.iter().any(|byte| *byte != 0) {
            return Err(wrong);
        }
        self.rest = rest;
        Ok(Some(Fields { chunk, rest: payload }))
    }

    fn expect(&mut self, tag: &'static str) -> Result<Fields<'a>, ParseError> {
        match self.next()? {
            Some(fields) if fields.chunk == tag.as_bytes() => Ok(fields),
            _ => Err(ParseError::Missing { chunk: tag }),
        }
    }
}

/// The fields of one chunk that are left.
struct Fields<'a> {
    chunk: [u8; 4],
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], ParseError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(ParseError::ChunkLength { chunk: self.chunk })?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], ParseError> {
        let wrong = ParseError::ChunkLength { chunk: self.chunk };
        let (taken, rest) = self.rest.split_first_chunk().ok_or(wrong)?;
        self.rest = rest;
        Ok(taken)
    }

    fn u32(&mut self) -> Result<u32, ParseError> {
        self.array().map(|bytes| u32::from_le_bytes(*bytes))
    }

    fn f32(&mut self) -> Result<f32, ParseError> {
        self.array().map(|bytes| f32::from_le_bytes(*bytes))
    }

    fn floats(&mut self, count: usize) -> Result<Floats<'a>, ParseError> {
        let wrong = ParseError::ChunkLength { chunk: self.chunk };
        let bytes = self.take(count.checked_mul(4).ok_or(wrong)?)?;
        Floats::new(bytes).ok_or(wrong)
    }

    fn halves(&mut self, count: usize) -> Result<Halves<'a>, ParseError> {
        let wrong = ParseError::ChunkLength { chunk: self.chunk };
        let bytes = self.take(count.checked_mul(2).ok_or(wrong)?)?;
        Halves::new(bytes).ok_or(wrong)
    }

    /// The rest of the payload of `HEAD`: penalty and parameters.
    fn linear(&mut self, n_classes: usize, feature_dim: usize) -> Result<(f32, Floats<'a>), ParseError> {
        let l2 = self.f32()?;
        if !(l2 > 0.0 && l2.is_finite()) {
            return Err(ParseError::Value { what: "L2 penalty" });
        }
        let count = parameter_count(n_classes, feature_dim).ok_or(ParseError::Value { what: "feature_dim" })?;
        Ok((l2, self.floats(count)?))
    }

    /// The rest of the payload of `NEAR`.
    fn samples(&mut self, n_classes: usize, feature_dim: usize) -> Result<Samples<'a>, ParseError> {
        let wrong = |what| Err(ParseError::Value { what });
        let (k, n_samples) = (self.u32()? as usize, self.u32()? as usize);
        if !(1..=n_samples.min(MAX_K)).contains(&k) {
            return wrong("number of neighbours");
        }
        let labels = self.halves(n_samples)?;
        if self.halves(n_samples % 2)?.iter().any(|padding| padding != 0) {
            return wrong("padding of the labels");
        }
        let rows = self.halves(n_samples.checked_mul(feature_dim).ok_or(ParseError::Value { what: "feature_dim" })?)?;
        if labels.iter().any(|label| usize::from(label) >= n_classes) {
            return wrong("label of a sample");
        }
        if !rows.iter().all(half::is_finite) {
            return wrong("a feature of a sample");
        }
        Ok(Samples { k, labels, rows })
    }

    /// A length of two bytes, then plain text in UTF-8.
    fn text(&mut self, what: &'static str) -> Result<&'a str, ParseError> {
        let len = u16::from_le_bytes(*self.array()?);
        match core::str::from_utf8(self.take(len as usize)?) {
            Ok(text) if is_plain(text) => Ok(text),
            _ => Err(ParseError::Text { what }),
        }
    }

    /// The payload of `reje`.
    fn rejection(
        &mut self,
        n_classes: usize,
        feature_dim: usize,
    ) -> Result<Rejection<Floats<'a>, &'a [i8]>, ParseError> {
        let what = "what makes a sample unknown";
        if self.u32()? != 1 {
            return Err(ParseError::Value { what: "kind of rejection" });
        }
        let (scale, threshold, rate, auroc) = (self.f32()?, self.f32()?, self.f32()?, self.f32()?);
        let steps = self.floats(n_classes)?;
        let wrong = ParseError::ChunkLength { chunk: self.chunk };
        let bytes = self.take(n_classes.checked_mul(feature_dim).ok_or(wrong)?)?;
        // SAFETY: an i8 is as large and as aligned as a u8, and any bits are one; the lifetime is that of `bytes`.
        let means = unsafe { core::slice::from_raw_parts(bytes.as_ptr().cast::<i8>(), bytes.len()) };
        let auroc = (auroc != -1.0).then_some(auroc);
        let rejection = Rejection { steps, means, scale, threshold, rate, auroc };
        if !is_sound(&rejection) || !steps.iter().all(|step| step >= 0.0 && step.is_finite()) {
            return Err(ParseError::Value { what });
        }
        Ok(rejection)
    }

    /// Nothing may be left over.
    fn end(&self) -> Result<(), ParseError> {
        if self.rest.is_empty() { Ok(()) } else { Err(ParseError::ChunkLength { chunk: self.chunk }) }
    }
}
