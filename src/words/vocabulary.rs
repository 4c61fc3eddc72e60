//! Which row of a table a word has.

use super::error::Fault;

/// Words by number and numbers by word, in three flat pieces that a table holds as they are.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Vocabulary {
    /// The words, one behind the other.
    text: Vec<u8>,
    /// Where each ends in `text`.
    ends: Vec<u32>,
    /// An open-addressed hash table, a power of two long: 0, or 1 + the number of a word.
    slots: Vec<u32>,
}

/// FNV-1a (Fowler, Noll, Vo), 64 bits, its halves folded. Part of the format of a table.
fn hash(word: &[u8]) -> u32 {
    let hash = word
        .iter()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    (hash ^ (hash >> 32)) as u32
}

impl Vocabulary {
    /// Of pieces that were read from a table; words that are not what they should be show when they are looked up.
    pub fn from_parts(text: Vec<u8>, ends: Vec<u32>, slots: Vec<u32>) -> Result<Self, &'static str> {
        let ends_well = ends.last().map_or(0, |end| *end as usize) == text.len() && ends.is_sorted();
        if !ends_well || !slots.len().is_power_of_two() || slots.len() <= ends.len() {
            return Err("its index");
        }
        match std::str::from_utf8(&text) {
            Ok(text) if ends.iter().all(|end| text.is_char_boundary(*end as usize)) => {}
            _ => return Err("its words"),
        }
        match slots.iter().all(|slot| *slot as usize <= ends.len()) {
            true => Ok(Self { text, ends, slots }),
            false => Err("its index"),
        }
    }

    /// The three pieces: text, ends, slots.
    pub fn parts(&self) -> (&[u8], &[u32], &[u32]) {
        (&self.text, &self.ends, &self.slots)
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// The word of a number.
    pub fn word(&self, number: usize) -> &str {
        std::str::from_utf8(self.bytes(number)).expect("checked when it was added")
    }

    fn bytes(&self, number: usize) -> &[u8] {
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        &self.text[start..self.ends[number] as usize]
    }

    /// The number of a word.
    pub fn get(&self, word: &str) -> Option<usize> {
        self.slot(word.as_bytes()).ok()
    }

    /// The number of a word, or the slot that it would have.
    fn slot(&self, word: &[u8]) -> Result<usize, usize> {
        let Some(mask) = self.slots.len().checked_sub(1) else { return Err(0) };
        let start = hash(word) as usize & mask;
        // A damaged table may have no free slot.
        for at in (0..=mask).map(|step| (start + step) & mask) {
            match self.slots[at] {
                0 => return Err(at),
                number if self.bytes(number as usize - 1) == word => return Ok(number as usize - 1),
                _ => {}
            }
        }
        Err(start)
    }

    /// Adds a word; false if it is there already.
    ///
    /// # Errors
    /// [`Fault::TooManyWords`] if the text gets longer than 4 GiB.
    pub fn add(&mut self, word: &str) -> Result<bool, Fault> {
        // At most two thirds are taken.
        if 3 * (self.ends.len() + 1) > 2 * self.slots.len() {
            self.grow();
        }
        let Err(at) = self.slot(word.as_bytes()) else { return Ok(false) };
        let end = u32::try_from(self.text.len() + word.len()).map_err(|_| Fault::TooManyWords)?;
        self.text.extend_from_slice(word.as_bytes());
        self.ends.push(end);
        self.slots[at] = self.ends.len() as u32;
        Ok(true)
    }

    fn grow(&mut self) {
        self.slots = vec![0; (2 * self.slots.len()).max(64)];
        for number in 0..self.ends.len() {
            if let Err(at) = self.slot(self.bytes(number)) {
                self.slots[at] = number as u32 + 1;
            }
        }
    }

    /// Bytes of memory.
    pub fn bytes_used(&self) -> u64 {
        (self.text.capacity() + 4 * self.ends.capacity() + 4 * self.slots.capacity()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_the_number_of_their_place_and_are_there_once() {
        let mut vocabulary = Vocabulary::default();
        assert_eq!(vocabulary.get("x"), None);
        let words: Vec<String> = (0..5000).map(|n| format!("w{}", n * 7919)).collect();
        for word in &words {
            assert_eq!(vocabulary.add(word), Ok(true));
        }
        assert_eq!(vocabulary.add(&words[77]), Ok(false));
        assert_eq!(vocabulary.len(), 5000);
        for (number, word) in words.iter().enumerate() {
            assert_eq!((vocabulary.get(word), vocabulary.word(number)), (Some(number), word.as_str()));
        }
        assert_eq!(vocabulary.get("w1"), None);
        assert_eq!(vocabulary.get(""), None);
        let (text, ends, slots) = vocabulary.parts();
        let again = Vocabulary::from_parts(text.to_vec(), ends.to_vec(), slots.to_vec());
        assert_eq!(again, Ok(vocabulary.clone()));
    }

    #[test]
    fn damaged_pieces_are_refused_or_find_nothing() {
        let parts = |text: &[u8], ends: &[u32], slots: &[u32]| {
            Vocabulary::from_parts(text.to_vec(), ends.to_vec(), slots.to_vec())
        };
        assert!(parts(b"ab", &[1, 2], &[1, 2, 0, 0]).is_ok());
        assert_eq!(parts(b"ab", &[1, 1], &[1, 2, 0, 0]), Err("its index"));
        assert_eq!(parts(b"ab", &[2, 1], &[1, 2, 0, 0]), Err("its index"));
        assert_eq!(parts(b"ab", &[1, 2], &[1, 2, 0]), Err("its index"));
        assert_eq!(parts(b"ab", &[1, 2], &[1, 3, 0, 0]), Err("its index"));
        assert_eq!(parts("é".as_bytes(), &[1, 2], &[1, 2, 0, 0]), Err("its words"));
        assert_eq!(parts(b"\xff\xff", &[1, 2], &[1, 2, 0, 0]), Err("its words"));
        let full = parts(b"ab", &[1, 2], &[1, 1, 1, 1]).expect("cannot be seen");
        assert_eq!((full.get("b"), full.get("zz")), (None, None));
    }
}
