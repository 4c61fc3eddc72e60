//! NumPy's `.npy` files, as far as rows and labels need them.
//!
//! Source: NumPy's `numpy.lib.format`, versions 1 to 3: `\x93NUMPY`, version, length of the header, a Python dictionary with
//! `descr`, `fortran_order` and `shape`, then the elements.

use ndarray::Array2;

/// Why bytes are no array that can be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NpyError {
    /// The first bytes are not those of a `.npy` file.
    #[error("not a .npy file")]
    Magic,
    /// The header is cut off, or says nothing that is known.
    #[error("its header cannot be read: {what}; save it anew with numpy.save")]
    Header {
        /// What is wrong.
        what: &'static str,
    },
    /// Elements of another type.
    #[error("elements of type `{found}`; save it with astype({wanted})")]
    Type {
        /// NumPy's name of the type.
        found: String,
        /// What can be read.
        wanted: &'static str,
    },
    /// Columns one after the other.
    #[error("in Fortran's order; save it with numpy.ascontiguousarray")]
    Fortran,
    /// Another number of dimensions, or an empty one.
    #[error("of shape ({found}); {wanted} is needed")]
    Shape {
        /// The shape.
        found: String,
        /// What is needed.
        wanted: &'static str,
    },
    /// More or fewer bytes than the shape says.
    #[error("{found} bytes of elements, and its shape says {expected}; it is cut off or damaged")]
    Length {
        /// Bytes that the shape says; saturated.
        expected: usize,
        /// Bytes there are.
        found: usize,
    },
    /// NaN, infinity, or beyond the largest f32.
    #[error("element {index} is not finite in 32 bits; leave its row out or fill it in")]
    NotFinite {
        /// The first such element, counted row-major.
        index: usize,
    },
}

/// An array of two dimensions, neither empty, of f32 or f64, finite.
pub(super) fn matrix(bytes: &[u8]) -> Result<Array2<f32>, NpyError> {
    let Array { descr, shape, data } = Array::parse(bytes)?;
    let &[rows, columns] = shape.as_slice() else { return Err(wrong_shape(&shape, "[rows, columns]")) };
    if rows == 0 || columns == 0 {
        return Err(wrong_shape(&shape, "[rows, columns], neither 0,"));
    }
    let values: Vec<f32> = match descr {
        "<f4" => elements::<4>(data, &shape)?.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        "<f8" => elements::<8>(data, &shape)?.iter().map(|bytes| f64::from_le_bytes(*bytes) as f32).collect(),
        _ => return Err(NpyError::Type { found: descr.to_owned(), wanted: "'<f4'" }),
    };
    if let Some(index) = values.iter().position(|x| !x.is_finite()) {
        return Err(NpyError::NotFinite { index });
    }
    Ok(Array2::from_shape_vec((rows, columns), values).expect("as many as the shape says"))
}

/// An array of one dimension of whole numbers.
pub(super) fn integers(bytes: &[u8]) -> Result<Vec<i128>, NpyError> {
    let Array { descr, shape, data } = Array::parse(bytes)?;
    if shape.len() != 1 {
        return Err(wrong_shape(&shape, "[rows]"));
    }
    macro_rules! read {
        ($type:ty) => {
            elements(data, &shape)?.iter().map(|bytes| <$type>::from_le_bytes(*bytes).into()).collect()
        };
    }
    Ok(match descr {
        "|i1" => read!(i8),
        "|u1" => read!(u8),
        "<i2" => read!(i16),
        "<u2" => read!(u16),
        "<i4" => read!(i32),
        "<u4" => read!(u32),
        "<i8" => read!(i64),
        "<u8" => read!(u64),
        _ => return Err(NpyError::Type { found: descr.to_owned(), wanted: "'<i8'" }),
    })
}

fn wrong_shape(shape: &[usize], wanted: &'static str) -> NpyError {
    NpyError::Shape { found: shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "), wanted }
}

/// The elements, if there are exactly as many as the shape says.
fn elements<'a, const N: usize>(data: &'a [u8], shape: &[usize]) -> Result<&'a [[u8; N]], NpyError> {
    let expected = shape.iter().try_fold(N, |bytes, n| bytes.checked_mul(*n)).unwrap_or(usize::MAX);
    match data.as_chunks() {
        (elements, []) if data.len() == expected => Ok(elements),
        _ => Err(NpyError::Length { expected, found: data.len() }),
    }
}

/// What the header says, and the bytes behind it.
struct Array<'a> {
    descr: &'a str,
    shape: Vec<usize>,
    data: &'a [u8],
}

impl<'a> Array<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, NpyError> {
        let wrong = |what| NpyError::Header { what };
        let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or(NpyError::Magic)?;
        let (header, data) = match *rest {
            [1, _, a, b, ref rest @ ..] => rest.split_at_checked(u16::from_le_bytes([a, b]).into()),
            [2 | 3, _, a, b, c, d, ref rest @ ..] => rest.split_at_checked(u32::from_le_bytes([a, b, c, d]) as usize),
            _ => return Err(wrong("of an unknown version")),
        }
        .ok_or(wrong("it is cut off"))?;
        let header = std::str::from_utf8(header).map_err(|_| wrong("it is not UTF-8"))?;
        let value = |key: &str| {
            let rest = header.split_once(&format!("'{key}':")).map(|(_, rest)| rest.trim_start());
            rest.ok_or(wrong("descr, fortran_order or shape is missing"))
        };
        let quoted = value("descr")?.strip_prefix('\'').and_then(|rest| rest.split_once('\''));
        let (descr, _) = quoted.ok_or(wrong("elements are no plain numbers"))?;
        let inner = value("shape")?.strip_prefix('(').and_then(|rest| rest.split_once(')'));
        let (inner, _) = inner.ok_or(wrong("no shape"))?;
        let numbers = inner.split(',').map(str::trim).filter(|number| !number.is_empty());
        let shape =
            numbers.map(|number| number.parse().map_err(|_| wrong("no shape"))).collect::<Result<Vec<_>, _>>()?;
        // With one dimension both orders are the same.
        if !value("fortran_order")?.starts_with("False") && shape.len() > 1 {
            return Err(NpyError::Fortran);
        }
        Ok(Self { descr, shape, data })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A file of version 1, as NumPy writes it.
    pub fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
        file(1, &header, data)
    }

    fn file(version: u8, header: &str, data: &[u8]) -> Vec<u8> {
        let header = format!("{header:117}\n");
        let len = header.len() as u32;
        let len = if version == 1 { (len as u16).to_le_bytes().to_vec() } else { len.to_le_bytes().to_vec() };
        [b"\x93NUMPY", [version, 0].as_slice(), &len, header.as_bytes(), data].concat()
    }

    #[test]
    fn floats_of_both_sizes_and_each_version_are_read() {
        let expected = ndarray::array![[1.5, -2.0], [0.0, 3.0], [4.0, 5.0]];
        let doubles = [1.5f64, -2.0, 0.0, 3.0, 4.0, 5.0].map(f64::to_le_bytes).concat();
        assert_eq!(matrix(&npy("<f8", "(3, 2)", &doubles)), Ok(expected.clone()));
        let floats = [1.5f32, -2.0, 0.0, 3.0, 4.0, 5.0].map(f32::to_le_bytes).concat();
        for version in [1, 2, 3] {
            let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }";
            assert_eq!(matrix(&file(version, header, &floats)), Ok(expected.clone()));
        }
    }

    #[test]
    fn whole_numbers_of_every_size_are_read() {
        assert_eq!(integers(&npy("|u1", "(2,)", &[0, 255])), Ok(vec![0, 255]));
        assert_eq!(integers(&npy("|i1", "(1,)", &[255])), Ok(vec![-1]));
        assert_eq!(integers(&npy("<i4", "(1,)", &(-7i32).to_le_bytes())), Ok(vec![-7]));
        assert_eq!(integers(&npy("<u8", "(1,)", &u64::MAX.to_le_bytes())), Ok(vec![u64::MAX.into()]));
    }

    #[test]
    fn what_is_no_array_says_why() {
        let header = |what| Err(NpyError::Header { what });
        assert_eq!(matrix(b"PK\x03\x04"), Err(NpyError::Magic));
        let good = npy("<f4", "(1, 1)", &[0; 4]);
        assert_eq!(matrix(&good), Ok(ndarray::array![[0.0]]));
        for len in 6..good.len() {
            assert!(matches!(matrix(&good[..len]), Err(NpyError::Header { .. } | NpyError::Length { .. })), "{len}");
        }
        assert_eq!(matrix(&file(9, "", &[])), header("of an unknown version"));
        assert_eq!(matrix(&file(1, "{}", &[])), header("descr, fortran_order or shape is missing"));
        let structured = "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1, 1), }";
        assert_eq!(matrix(&file(1, structured, &[0; 4])), header("elements are no plain numbers"));
        let fortran = "{'descr': '<f4', 'fortran_order': True, 'shape': (1, 1), }";
        assert_eq!(matrix(&file(1, fortran, &[0; 4])), Err(NpyError::Fortran));
        assert_eq!(
            matrix(&npy(">f4", "(1, 1)", &[0; 4])).expect_err("big").to_string(),
            "elements of type `>f4`; save it with astype('<f4')"
        );
        assert_eq!(
            matrix(&npy("<f4", "(4,)", &[0; 16])).expect_err("one").to_string(),
            "of shape (4); [rows, columns] is needed"
        );
        assert!(matches!(matrix(&npy("<f4", "(0, 3)", &[])), Err(NpyError::Shape { .. })));
        assert!(matches!(integers(&npy("<i8", "(1, 1)", &[0; 8])), Err(NpyError::Shape { .. })));
        assert!(matches!(integers(&npy("<f8", "(1,)", &[0; 8])), Err(NpyError::Type { .. })));
        // As large as that it is not, and nothing is allocated.
        let huge = npy("<f8", "(4294967296, 4294967296)", &[0; 8]);
        assert_eq!(matrix(&huge), Err(NpyError::Length { expected: usize::MAX, found: 8 }));
        assert_eq!(matrix(&npy("<f4", "(-1, 2)", &[])), header("no shape"));
        let nan = [0f32, f32::NAN].map(f32::to_le_bytes).concat();
        assert_eq!(matrix(&npy("<f4", "(1, 2)", &nan)), Err(NpyError::NotFinite { index: 1 }));
        assert_eq!(matrix(&npy("<f8", "(1, 1)", &1e300f64.to_le_bytes())), Err(NpyError::NotFinite { index: 0 }));
    }
}
