//! Contents -> bytes of a head file.

use super::{
    ALIGN, CRC_CHUNK_LEN, Calibration, Evaluation, HEADER_LEN, MAGIC, MAX_CLASSES, VERSION, is_plain, is_sound,
};
use crate::crc::crc32;
use crate::head::{Kind, Predictor};
use crate::preprocess::Preprocess;
use crate::rejection::Rejection;
use crate::scaler::Scaler;

/// What goes into a head file.
#[derive(Clone, Copy, Debug)]
pub struct Contents<'a> {
    /// SHA-256 that names the trunk.
    pub fingerprint: [u8; 32],
    /// Name of the backbone, for messages.
    pub backbone: &'a str,
    /// Name of the layer whose output are the features.
    pub cut: &'a str,
    /// How a photo becomes the trunk's input.
    pub preprocess: Preprocess,
    /// Names of the classes, as many as the head has.
    pub labels: &'a [&'a str],
    /// Scaling of the features before the head.
    pub scaler: Scaler<&'a [f32]>,
    /// The head.
    pub head: Predictor<&'a [f32], &'a [u16]>,
    /// How the head was fitted.
    pub kind: Kind,
    /// L2 penalty that the head was fitted with; the shrinkage of `Lda`, 1 for `Prototype`. A head of `Nearest` has its
    /// number of neighbours instead, whatever this is.
    pub l2: f32,
    /// How good the head was on left-out samples.
    pub evaluation: Option<Evaluation>,
    /// Temperature of the probabilities; without one it is 1.
    pub calibration: Option<Calibration>,
    /// What makes a sample unknown; without it none is.
    pub rejection: Option<Rejection<&'a [f32], &'a [i8]>>,
    /// Program that writes the file, e.g. "topgraft 0.1.0".
    pub producer: &'a str,
}

/// Why contents can't become a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmitError {
    /// Labels and head disagree, or there are more than [`MAX_CLASSES`].
    Labels {
        /// Number of labels.
        labels: usize,
        /// Classes of the head.
        n_classes: usize,
    },
    /// A linear head of kind `Nearest`, or samples of another kind.
    Kind,
    /// Scaler and head disagree on `feature_dim`.
    Scaler,
    /// Temperature or calibration errors that mean nothing.
    Calibration,
    /// A rejection for another head, or one whose numbers mean nothing.
    Rejection,
    /// Text that is empty, longer than 65,535 bytes, or has control characters.
    Text {
        /// Its meaning.
        what: &'static str,
    },
    /// Longer than 4 GiB.
    TooLarge,
    /// The buffer has not the length that `encoded_len` says.
    Buffer {
        /// Length needed, bytes.
        expected: usize,
        /// Length of the buffer, bytes.
        got: usize,
    },
}

impl core::fmt::Display for EmitError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Labels { labels, n_classes } => write!(f, "{labels} labels for a head of {n_classes} classes"),
            Self::Kind => write!(f, "the kind is not that of the head"),
            Self::Scaler => write!(f, "the scaler is for another feature_dim than the head"),
            Self::Calibration => write!(f, "the temperature or its calibration errors are out of range"),
            Self::Rejection => write!(f, "what makes a sample unknown is for another head, or out of range"),
            Self::Text { what } => write!(f, "{what} is empty, longer than 65535 bytes, or has control characters"),
            Self::TooLarge => write!(f, "the head file would be larger than 4 GiB"),
            Self::Buffer { expected, got } => write!(f, "the buffer has {got} bytes instead of {expected}"),
        }
    }
}

impl core::error::Error for EmitError {}

impl Contents<'_> {
    /// Bytes that [`emit`](Self::emit) writes.
    ///
    /// # Errors
    /// Contents that no file can hold.
    pub fn encoded_len(&self) -> Result<usize, EmitError> {
        let mut counter = Writer { out: None, at: 0 };
        self.write(&mut counter)?;
        let len = counter.at.checked_add(CRC_CHUNK_LEN).ok_or(EmitError::TooLarge)?;
        if u32::try_from(len).is_err() { Err(EmitError::TooLarge) } else { Ok(len) }
    }

    /// Writes the file into `out`, whose length is [`encoded_len`](Self::encoded_len).
    ///
    /// # Errors
    /// Contents that no file can hold, or a buffer of another length.
    pub fn emit(&self, out: &mut [u8]) -> Result<(), EmitError> {
        let (expected, got) = (self.encoded_len()?, out.len());
        if got != expected {
            return Err(EmitError::Buffer { expected, got });
        }
        let mut writer = Writer { out: Some(out), at: 0 };
        self.write(&mut writer)?;
        let (out, at) = (writer.out.unwrap_or_default(), writer.at);
        out[12..16].copy_from_slice(&(expected as u32).to_le_bytes());
        let crc = crc32(&[&out[..at]]);
        let last = [*b"CRC ", 4u32.to_le_bytes(), crc.to_le_bytes(), [0; 4]];
        out[at..].copy_from_slice(last.as_flattened());
        Ok(())
    }

    /// All but the last chunk.
    fn write(&self, writer: &mut Writer<'_>) -> Result<(), EmitError> {
        let n_classes = self.head.n_classes();
        if self.labels.len() != n_classes || n_classes > MAX_CLASSES {
            return Err(EmitError::Labels { labels: self.labels.len(), n_classes });
        }
        if (self.kind == Kind::Nearest) == self.head.linear().is_some() {
            return Err(EmitError::Kind);
        }
        writer.bytes(&MAGIC)?;
        writer.bytes(&VERSION.to_le_bytes())?;
        writer.bytes(&[0; HEADER_LEN - 10])?; // two zeros, and the length, which `emit` fills in
        writer.chunk(b"TRNK", |writer| {
            writer.bytes(&self.fingerprint)?;
            writer.text("backbone name", self.backbone)?;
            writer.text("cut", self.cut)
        })?;
        writer.chunk(b"PREP", |writer| writer.bytes(&self.preprocess.to_bytes()))?;
        writer.chunk(b"LABL", |writer| {
            writer.u32(n_classes)?;
            self.labels.iter().try_for_each(|label| writer.text("label", label))
        })?;
        writer.chunk(b"SCAL", |writer| match self.scaler {
            Scaler::None => writer.u32(0),
            Scaler::L2 => writer.u32(1),
            Scaler::Standard { mean, scale } => {
                if [mean.len(), scale.len()] != [self.head.feature_dim(); 2] {
                    return Err(EmitError::Scaler);
                }
                writer.u32(2)?;
                writer.floats(mean)?;
                writer.floats(scale)
            }
            Scaler::CentredL2 { mean } => {
                if mean.len() != self.head.feature_dim() {
                    return Err(EmitError::Scaler);
                }
                writer.u32(3)?;
                writer.floats(mean)
            }
        })?;
        let tag = if self.kind == Kind::Nearest { b"NEAR" } else { b"HEAD" };
        writer.chunk(tag, |writer| {
            writer.u32(self.kind as usize)?;
            writer.u32(n_classes)?;
            writer.u32(self.head.feature_dim())?;
            match &self.head {
                Predictor::Linear(head) => {
                    writer.floats(&[self.l2])?;
                    writer.floats(head.parameters())
                }
                Predictor::Nearest(head) => {
                    writer.u32(head.k())?;
                    writer.u32(head.labels().len())?;
                    writer.halves(head.labels())?;
                    writer.halves(&[0][..head.labels().len() % 2])?;
                    writer.halves(head.rows())
                }
            }
        })?;
        if let Some(evaluation) = self.evaluation {
            let Evaluation { folds, n_samples, correct, majority } = evaluation;
            let fields = [folds, n_samples, correct, majority].map(u32::to_le_bytes);
            writer.chunk(b"eval", |writer| writer.bytes(fields.as_flattened()))?;
        }
        if let Some(calibration) = self.calibration {
            let Calibration { temperature, ece_before, ece_after } = calibration;
            if !calibration.is_sound() {
                return Err(EmitError::Calibration);
            }
            writer.chunk(b"temp", |writer| writer.floats(&[temperature, ece_before, ece_after]))?;
        }
        if let Some(rejection) = self.rejection {
            let Rejection { steps, means, scale, threshold, rate, auroc } = rejection;
            let fits = steps.len() == n_classes && Some(means.len()) == n_classes.checked_mul(self.head.feature_dim());
            if !fits || !is_sound(&rejection) || !steps.iter().all(|step| *step >= 0.0 && step.is_finite()) {
                return Err(EmitError::Rejection);
            }
            writer.chunk(b"reje", |writer| {
                writer.u32(1)?;
                writer.floats(&[scale, threshold, rate, auroc.unwrap_or(-1.0)])?;
                writer.floats(steps)?;
                means.iter().try_for_each(|code| writer.bytes(&code.to_le_bytes()))
            })?;
        }
        writer.chunk(b"made", |writer| writer.text("producer", self.producer))
    }
}

/// Writes into `out`, or only counts.
struct Writer<'a> {
    out: Option<&'a mut [u8]>,
    at: usize,
}

impl Writer<'_> {
    fn bytes(&mut self, bytes: &[u8]) -> Result<(), EmitError> {
        let end = self.at.checked_add(bytes.len()).ok_or(EmitError::TooLarge)?;
        if let Some(out) = &mut self.out {
            out[self.at..end].copy_from_slice(bytes);
        }
        self.at = end;
        Ok(())
    }

    fn u32(&mut self, value: usize) -> Result<(), EmitError> {
        let value = u32::try_from(value).map_err(|_| EmitError::TooLarge)?;
        self.bytes(&value.to_le_bytes())
    }

    fn floats(&mut self, values: &[f32]) -> Result<(), EmitError> {
        values.iter().try_for_each(|value| self.bytes(&value.to_le_bytes()))
    }

    fn halves(&mut self, values: &[u16]) -> Result<(), EmitError> {
        values.iter().try_for_each(|value| self.bytes(&value.to_le_bytes()))
    }

    fn text(&mut self, what: &'static str, text: &str) -> Result<(), EmitError> {
        let len = u16::try_from(text.len()).ok().filter(|_| is_plain(text)).ok_or(EmitError::Text { what })?;
        self.bytes(&len.to_le_bytes())?;
        self.bytes(text.as_bytes())
    }

    /// Tag, length, what `payload` writes, zeros up to a multiple of 8.
    fn chunk(
        &mut self,
        tag: &[u8; 4],
        payload: impl FnOnce(&mut Self) -> Result<(), EmitError>,
    ) -> Result<(), EmitError> {
        self.bytes(tag)?;
        let length_at = self.at;
        self.u32(0)?;
        payload(self)?;
        let len = u32::try_from(self.at - length_at - 4).map_err(|_| EmitError::TooLarge)?;
        if let Some(out) = &mut self.out {
            out[length_at..length_at + 4].copy_from_slice(&len.to_le_bytes());
        }
        let padding = self.at.next_multiple_of(ALIGN) - self.at;
        self.bytes(&[0; ALIGN][..padding])
    }
}
