//! Buffers that are used again.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The most buffers that are kept: one being filled, one waiting and one in use on each side of the conversion.
const MOST: usize = 6;

/// Buffers of the sizes that a camera's frames have.
pub(super) struct Pool(Mutex<State>);

struct State {
    buffers: Vec<Vec<u8>>,
    /// How many were taken and not given back.
    lent: usize,
}

impl Pool {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State { buffers: Vec::new(), lent: 0 }))
    }

    /// A buffer of `len` bytes, of any content: the smallest that does, so that raw frames leave those of RGB frames alone.
    pub(super) fn take(&self, len: usize) -> Vec<u8> {
        let mut state = self.lock();
        state.lent += 1;
        let fits = state.buffers.iter().enumerate().filter(|(_, buffer)| buffer.capacity() >= len);
        let smallest = fits.min_by_key(|(_, buffer)| buffer.capacity()).map(|(at, _)| at);
        let mut buffer = smallest.map(|at| state.buffers.swap_remove(at)).unwrap_or_default();
        drop(state);
        buffer.resize(len, 0);
        buffer
    }

    /// Gives a buffer back. If there are enough, the oldest goes: the size of the frames may have changed. One that does not
    /// come from here, as those of decoded photos, is wanted by nobody and freed.
    pub(super) fn give(&self, buffer: Vec<u8>) {
        let mut state = self.lock();
        if buffer.capacity() == 0 || state.lent == 0 {
            return;
        }
        state.lent -= 1;
        if state.buffers.len() == MOST {
            state.buffers.remove(0);
        }
        state.buffers.push(buffer);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_buffer_that_fits_is_used_again() {
        let pool = Pool::new();
        let (small, large) = (pool.take(100), pool.take(1000));
        let places = [small.as_ptr(), large.as_ptr()];
        pool.give(large);
        pool.give(small);
        let [first, second] = [pool.take(90), pool.take(90)];
        assert_eq!([first.as_ptr(), second.as_ptr()], places);
        assert_eq!([first.len(), second.len()], [90, 90]);
        assert_eq!(pool.take(2000).len(), 2000);
    }

    #[test]
    fn few_are_kept_and_none_that_nobody_asks_for() {
        let pool = Pool::new();
        pool.give(vec![0; 1 << 20]);
        assert!(pool.lock().buffers.is_empty());
        let taken: Vec<_> = (1..20).map(|len| pool.take(len)).collect();
        taken.into_iter().for_each(|buffer| pool.give(buffer));
        let kept: Vec<_> = pool.lock().buffers.iter().map(Vec::len).collect();
        assert_eq!(kept, [14, 15, 16, 17, 18, 19]);
    }
}
