//! Lines on their way out. Who writes a line never waits for whoever reads it: a thread does, and what it has no room
//! for is counted.
//!
//! Not `tracing-appender`: it counts lost lines and tells nobody in the log, and has no limit in bytes.

use std::{
    io::{self, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// Most bytes that wait to be written.
const MOST_BYTES: usize = 4 << 20;

/// How long the last lines may take.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Makes the line that tells how many were lost.
pub(super) type TellLost = Box<dyn Fn(u64) -> Vec<u8> + Send>;

/// How long lines are gathered after others were written.
const GATHER: Duration = Duration::from_millis(10);

/// With so many bytes they are written sooner.
const ENOUGH: usize = 64 << 10;

#[derive(Debug, Default)]
struct State {
    waiting: Batch,
    /// Bytes that are being written.
    leaving: usize,
    lost: u64,
    /// Whether the thread sleeps until somebody wakes it.
    idle: bool,
    closed: bool,
    done: bool,
}

/// Lines, one behind the other.
#[derive(Debug, Default)]
struct Batch {
    bytes: Vec<u8>,
    /// Where each line ends.
    ends: Vec<usize>,
}

impl Batch {
    /// Whole lines of `most` bytes together, or of one line that is longer.
    fn pieces(&self, most: usize) -> impl Iterator<Item = &[u8]> {
        let (mut begin, mut rest) = (0, &*self.ends);
        std::iter::from_fn(move || {
            let fitting = rest.iter().take_while(|end| **end - begin <= most).count().max(1);
            let end = *rest.get(fitting - 1)?;
            let piece = self.bytes.get(begin..end);
            (begin, rest) = (end, rest.get(fitting..).unwrap_or_default());
            piece
        })
    }

    /// Empty, and ready for about as much again; what a flood has taken is given back.
    fn clear(&mut self) {
        if self.bytes.capacity() > 4 * ENOUGH {
            *self = Self::default();
        }
        self.bytes.clear();
        self.ends.clear();
    }
}

/// Where lines go.
pub(super) struct Sink {
    /// Takes them.
    pub(super) writer: Box<dyn Write + Send>,
    /// Most bytes of several lines in one piece; with none, each line is a piece.
    pub(super) piece: usize,
}

/// Lines that a thread writes.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue(Arc<(Mutex<State>, Condvar)>);

impl Queue {
    /// A queue, and the thread that empties it into `sink`.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub(super) fn into(sink: Sink, tell_lost: TellLost) -> io::Result<Self> {
        let queue = Self::default();
        let work = queue.clone();
        thread::Builder::new().name("log".to_owned()).spawn(move || work.run(sink, &tell_lost))?;
        Ok(queue)
    }

    /// Adds a line, or counts it as lost when too many wait.
    pub(super) fn push(&self, line: &[u8]) {
        let mut state = self.state();
        let before = state.waiting.bytes.len();
        let after = before.saturating_add(line.len());
        if state.closed || state.leaving.saturating_add(after) > MOST_BYTES {
            state.lost = state.lost.saturating_add(1);
        } else {
            state.waiting.bytes.extend_from_slice(line);
            state.waiting.ends.push(after);
        }
        // Each waking is a system call, of which a line needs none of its own.
        let wakes = mem::take(&mut state.idle) || (before < ENOUGH && after >= ENOUGH);
        drop(state);
        if wakes {
            self.0.1.notify_all();
        }
    }

    /// Waits until all is written, though not for long.
    pub(super) fn finish(&self) {
        let mut state = self.state();
        state.closed = true;
        self.0.1.notify_all();
        let waited = self.0.1.wait_timeout_while(state, LAST_LINES, |state| !state.done);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, mut sink: Sink, tell_lost: &TellLost) {
        let mut batch = Batch::default();
        loop {
            let waited = self.0.1.wait_while(self.state(), |state| {
                state.idle = state.waiting.ends.is_empty() && state.lost == 0 && !state.closed;
                state.idle
            });
            let mut state = waited.unwrap_or_else(PoisonError::into_inner);
            mem::swap(&mut state.waiting, &mut batch);
            state.leaving = batch.bytes.len();
            // Lost behind these lines: they are what filled the queue.
            let lost = mem::take(&mut state.lost);
            if batch.ends.is_empty() && lost == 0 {
                state.done = true;
                self.0.1.notify_all();
                return;
            }
            drop(state);
            for piece in batch.pieces(sink.piece) {
                // Nobody is left to be told that stderr is gone.
                let _ = sink.writer.write_all(piece);
                self.state().leaving -= piece.len();
            }
            batch.clear();
            if lost > 0 {
                let _ = sink.writer.write_all(&tell_lost(lost));
            }
            let more = |state: &mut State| !state.closed && state.waiting.bytes.len() < ENOUGH;
            drop(self.0.1.wait_timeout_while(self.state(), GATHER, more));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Takes a line each time that somebody lets it.
    struct Slow {
        may: mpsc::Receiver<()>,
        written: Arc<Mutex<Vec<String>>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.may.recv();
            self.written.lock().unwrap().push(String::from_utf8_lossy(bytes).into_owned());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn slow(piece: usize) -> (Queue, mpsc::Sender<()>, Arc<Mutex<Vec<String>>>) {
        let (let_go, may) = mpsc::channel();
        let written = Arc::new(Mutex::new(Vec::new()));
        let sink = Sink { writer: Box::new(Slow { may, written: Arc::clone(&written) }), piece };
        (Queue::into(sink, Box::new(|lost| format!("{lost} lost").into_bytes())).unwrap(), let_go, written)
    }

    #[test]
    fn lines_come_out_in_their_order_and_all_of_them() {
        for piece in [0, 100, MOST_BYTES] {
            let (queue, let_go, written) = slow(piece);
            drop(let_go);
            let line = |number| format!("{number}\n");
            for number in 0..100_000 {
                queue.push(line(number).as_bytes());
                // Slowly at first, so that the thread goes to sleep in between.
                std::thread::sleep(Duration::from_micros(if number < 100 { 300 } else { 0 }));
            }
            queue.finish();
            let written = written.lock().unwrap();
            assert_eq!(written.concat(), (0..100_000).map(line).collect::<String>(), "{piece}");
            assert!(written.iter().all(|piece| piece.ends_with('\n')), "half a line");
            assert!(written.iter().all(|one| one.len() <= piece.max(10) && (piece > 0 || one.lines().count() == 1)));
            assert!(piece == 0 || written.len() < 20_000, "{} pieces", written.len());
        }
    }

    #[test]
    fn whoever_writes_does_not_wait_and_what_has_no_room_is_counted() {
        let (queue, let_go, written) = slow(4096);
        let line = vec![b'x'; MOST_BYTES / 10];
        (0..25).for_each(|_| queue.push(&line));
        drop(let_go);
        queue.finish();
        let written = written.lock().unwrap();
        assert_eq!(written.iter().filter(|line| line.starts_with('x')).count(), 10);
        let lost: u64 = written.iter().filter_map(|line| line.strip_suffix(" lost")?.parse::<u64>().ok()).sum();
        assert_eq!(lost, 15, "{}", written.len());
    }

    #[test]
    fn the_end_does_not_wait_for_ever_for_somebody_who_does_not_read() {
        let (queue, let_go, written) = slow(4096);
        queue.push(b"never read");
        queue.finish();
        assert!(written.lock().unwrap().is_empty());
        drop(let_go);
    }
}
