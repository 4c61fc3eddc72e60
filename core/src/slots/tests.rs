//! Power lost at each byte of a write, worn flash, records that are none.

use super::*;
use std::vec::Vec;

const SLOT: usize = 96;

/// Flash whose power fails after so many bytes; the byte it fails in has any bits.
struct Failing {
    slots: [[u8; SLOT]; 2],
    left: usize,
    torn: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PowerLost;

impl core::fmt::Display for PowerLost {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "power lost")
    }
}

impl Failing {
    fn write(&mut self, slot: usize, at: usize, bytes: impl Iterator<Item = u8>) -> Result<(), PowerLost> {
        for (i, byte) in bytes.enumerate() {
            if self.left == 0 {
                self.slots[slot][at + i] = self.torn;
                return Err(PowerLost);
            }
            self.left -= 1;
            self.slots[slot][at + i] = byte;
        }
        Ok(())
    }
}

impl Flash for Failing {
    type Error = PowerLost;

    fn slot(&self, slot: usize) -> &[u8] {
        &self.slots[slot]
    }

    fn erase(&mut self, slot: usize) -> Result<(), PowerLost> {
        self.write(slot, 0, core::iter::repeat_n(0xff, SLOT))
    }

    fn program(&mut self, slot: usize, offset: usize, bytes: &[u8]) -> Result<(), PowerLost> {
        assert!(offset.is_multiple_of(WORD) && bytes.len().is_multiple_of(WORD) && !bytes.is_empty());
        assert!(self.slots[slot][offset..][..bytes.len()].iter().all(|byte| *byte == 0xff), "not erased");
        self.write(slot, offset, bytes.iter().copied())
    }
}

fn flash(left: usize) -> Failing {
    Failing { slots: [[0; SLOT]; 2], left, torn: 0 }
}

#[test]
fn power_lost_at_any_byte_leaves_the_old_record_or_the_new_one() {
    let (old, new): (Vec<u8>, Vec<u8>) = ((0..50).collect(), (100..153).collect());
    let mut seen = [0; 2];
    for before in 1..=4 {
        for torn in [0x00, 0xff, 0x5a] {
            let whole = SLOT + HEADER_LEN + new.len().next_multiple_of(WORD);
            for left in 0..=whole {
                let mut slots = Slots::new(flash(usize::MAX));
                for _ in 0..before {
                    slots.store(&old).expect("has power");
                }
                slots.flash.left = left;
                slots.flash.torn = torn;
                let result = slots.store(&new);
                assert_eq!(result.is_ok(), left == whole);
                // After the reset.
                let mut slots = Slots::new(Failing { left: usize::MAX, ..slots.into_flash() });
                let is_new = slots.latest() == Some(&new);
                assert!(is_new || slots.latest() == Some(&old), "after {left} bytes");
                assert!(is_new || left < whole);
                seen[usize::from(is_new)] += 1;
                slots.store(b"and on it goes").expect("has power");
                assert_eq!(slots.latest(), Some(b"and on it goes".as_slice()));
            }
        }
    }
    assert!(seen[0] > seen[1] && seen[1] > 0);
}

#[test]
fn what_was_stored_last_is_the_latest_even_where_the_numbers_wrap() {
    for first in [0, u32::MAX - 2, i32::MAX as u32 - 2] {
        let mut flash = flash(usize::MAX);
        flash.slots[1][..HEADER_LEN].copy_from_slice(&header(first, b""));
        let mut slots = Slots::new(flash);
        assert_eq!(slots.latest(), Some(b"".as_slice()));
        for i in 0..6u8 {
            slots.store(&[i; 33]).expect("has power");
            assert_eq!(slots.latest(), Some([i; 33].as_slice()));
        }
    }
}

#[test]
fn nothing_stored_is_no_record() {
    for byte in [0x00, 0xff, 0x5a] {
        assert_eq!(Slots::new(Failing { slots: [[byte; SLOT]; 2], ..flash(0) }).latest(), None);
    }
    // A length beyond the slot.
    let mut long = flash(0);
    long.slots[0][..HEADER_LEN].copy_from_slice(&header(0, &[0; SLOT]));
    assert_eq!(Slots::new(long).latest(), None);
}

#[test]
fn a_payload_that_does_not_fit_is_refused_and_the_last_one_stays() {
    let mut slots = Slots::new(flash(usize::MAX));
    assert_eq!(slots.capacity(), SLOT - HEADER_LEN);
    slots.store(&[7; SLOT - HEADER_LEN]).expect("fits");
    let error = slots.store(&[8; SLOT - HEADER_LEN + 1]).expect_err("too large");
    assert_eq!(error, StoreError::TooLarge { got: SLOT - HEADER_LEN + 1, capacity: SLOT - HEADER_LEN });
    assert_eq!(std::format!("{error}"), "81 bytes do not fit a slot: 80 do");
    assert_eq!(slots.latest(), Some([7; SLOT - HEADER_LEN].as_slice()));
}

/// Flash with a bit that is stuck.
struct Stuck(Failing);

impl Flash for Stuck {
    type Error = PowerLost;

    fn slot(&self, slot: usize) -> &[u8] {
        self.0.slot(slot)
    }

    fn erase(&mut self, slot: usize) -> Result<(), PowerLost> {
        self.0.erase(slot)
    }

    fn program(&mut self, slot: usize, offset: usize, bytes: &[u8]) -> Result<(), PowerLost> {
        self.0.program(slot, offset, bytes)?;
        self.0.slots[1][40] &= !1;
        Ok(())
    }
}

#[test]
fn worn_flash_is_noticed_and_the_last_record_stays() {
    let mut slots = Slots::new(Stuck(flash(usize::MAX)));
    slots.store(&[1; 40]).expect("the first slot is sound");
    let error = slots.store(&[3; 40]).expect_err("the second is not");
    assert_eq!(error, StoreError::Worn { slot: 1 });
    assert!(std::format!("{error}").contains("slot 1"));
    assert_eq!(slots.latest(), Some([1; 40].as_slice()));
}
