//! Which row of a table a word has.

use super::error::Fault;

/// Words by number and numbers by word, in three flat pieces that a table holds as they are.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Vocabulary {
    /// The words, one behind the other.
    text: Vec<u8>,
    /// Where each ends in `text`.
    ends: Vec<u32>,
    /// An open-addressed hash table, a power of two long: 0, or 1 + the number of a word and, in the high bits, bits of its hash.
    slots: Vec<u32>,
}

/// Low bits of a slot: 1 + the number of a word. The others are those of its hash, so that few other words are looked at.
const NUMBER: u32 = (1 << 25) - 1;

/// Eight bytes at a time and the last eight again, multiplied by an odd constant (2^64 over the golden ratio: Knuth, TAOCP 6.4), high
/// half onto low half. Words are short: those of less than eight bytes are read at once. Part of the format of a table, whose docs
/// have it in words.
fn hash(word: &[u8]) -> u32 {
    let mix = |hash: u64, bytes: u64| {
        let product = (hash ^ bytes).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        product ^ (product >> 32)
    };
    let mut hash = word.len() as u64;
    let last = match (word, word.last_chunk::<8>(), word.first_chunk::<4>().zip(word.last_chunk::<4>())) {
        (_, Some(last), _) => {
            hash = word.as_chunks::<8>().0.iter().fold(hash, |hash, bytes| mix(hash, u64::from_le_bytes(*bytes)));
            u64::from_le_bytes(*last)
        }
        (_, None, Some((first, last))) => {
            u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32
        }
        ([first, .., last], None, None) => {
            u64::from(*first) | u64::from(word[word.len() / 2]) << 8 | u64::from(*last) << 16
        }
        ([only], None, None) => u64::from(*only),
        _ => 0,
    };
    mix(hash, last) as u32
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
        match slots.iter().all(|slot| (slot & NUMBER) as usize <= ends.len() && (*slot == 0 || slot & NUMBER > 0)) {
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
        let hash = hash(word);
        let start = hash as usize & mask;
        // A damaged table may have no free slot.
        for at in (0..=mask).map(|step| (start + step) & mask) {
            match self.slots[at] {
                0 => return Err(at),
                slot if (slot ^ hash) & !NUMBER == 0 => {
                    let number = (slot & NUMBER) as usize - 1;
                    if self.bytes(number) == word {
                        return Ok(number);
                    }
                }
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
        self.slots[at] = self.ends.len() as u32 | hash(word.as_bytes()) & !NUMBER;
        Ok(true)
    }

    fn grow(&mut self) {
        self.slots = vec![0; (2 * self.slots.len()).max(64)];
        for number in 0..self.ends.len() {
            let word = self.bytes(number);
            if let Err(at) = self.slot(word) {
                self.slots[at] = (number as u32 + 1) | hash(word) & !NUMBER;
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
        let high = hash(b"a") & !NUMBER;
        let full = parts(b"ab", &[1, 2], &[high | 1; 4]).expect("cannot be seen");
        assert_eq!((full.get("a"), full.get("b"), full.get("zz")), (Some(0), None, None));
    }
}
