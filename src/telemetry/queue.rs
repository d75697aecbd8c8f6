//! Lines on their way out. Who writes a line never waits for whoever reads it: a thread does, and what it has no room
//! for is counted.
//!
//! Not `tracing-appender`: it counts lost lines and tells nobody in the log, and has no limit in bytes.

use std::{
    io::{self, Write},
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

#[derive(Debug, Default)]
struct State {
    lines: Vec<Vec<u8>>,
    /// Of the lines that wait, and of those that are being written.
    bytes: usize,
    lost: u64,
    closed: bool,
    done: bool,
}

/// Lines that a thread writes.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue(Arc<(Mutex<State>, Condvar)>);

impl Queue {
    /// A queue, and the thread that empties it into `sink`: each line in one piece.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub(super) fn into(sink: impl Write + Send + 'static, tell_lost: TellLost) -> io::Result<Self> {
        let queue = Self::default();
        let work = queue.clone();
        thread::Builder::new().name("log".to_owned()).spawn(move || work.run(sink, &tell_lost))?;
        Ok(queue)
    }

    /// Adds a line, or counts it as lost when too many wait.
    pub(super) fn push(&self, line: Vec<u8>) {
        let mut state = self.state();
        if state.closed || state.bytes.saturating_add(line.len()) > MOST_BYTES {
            state.lost = state.lost.saturating_add(1);
        } else {
            state.bytes += line.len();
            state.lines.push(line);
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

    fn run(&self, mut sink: impl Write, tell_lost: &TellLost) {
        loop {
            let idle = |state: &mut State| state.lines.is_empty() && state.lost == 0 && !state.closed;
            let waited = self.0.1.wait_while(self.state(), idle);
            let mut state = waited.unwrap_or_else(PoisonError::into_inner);
            let lines = std::mem::take(&mut state.lines);
            // Lost behind these lines: they are what filled the queue.
            let lost = std::mem::take(&mut state.lost);
            if lines.is_empty() && lost == 0 {
                state.done = true;
                self.0.1.notify_all();
                return;
            }
            drop(state);
            for line in lines {
                // Nobody is left to be told that stderr is gone.
                let _ = sink.write_all(&line);
                self.state().bytes -= line.len();
            }
            if lost > 0 {
                let _ = sink.write_all(&tell_lost(lost));
            }
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

    fn slow() -> (Queue, mpsc::Sender<()>, Arc<Mutex<Vec<String>>>) {
        let (let_go, may) = mpsc::channel();
        let written = Arc::new(Mutex::new(Vec::new()));
        let sink = Slow { may, written: Arc::clone(&written) };
        (Queue::into(sink, Box::new(|lost| format!("{lost} lost").into_bytes())).unwrap(), let_go, written)
    }

    #[test]
    fn lines_come_out_in_their_order_and_all_of_them() {
        let (queue, let_go, written) = slow();
        drop(let_go);
        (0..1000).for_each(|number| queue.push(number.to_string().into_bytes()));
        queue.finish();
        let expected: Vec<_> = (0..1000).map(|number| number.to_string()).collect();
        assert_eq!(*written.lock().unwrap(), expected);
    }

    #[test]
    fn whoever_writes_does_not_wait_and_what_has_no_room_is_counted() {
        let (queue, let_go, written) = slow();
        let line = vec![b'x'; MOST_BYTES / 10];
        (0..25).for_each(|_| queue.push(line.clone()));
        drop(let_go);
        queue.finish();
        let written = written.lock().unwrap();
        assert_eq!(written.iter().filter(|line| line.starts_with('x')).count(), 10);
        let lost: u64 = written.iter().filter_map(|line| line.strip_suffix(" lost")?.parse::<u64>().ok()).sum();
        assert_eq!(lost, 15, "{}", written.len());
    }

    #[test]
    fn the_end_does_not_wait_for_ever_for_somebody_who_does_not_read() {
        let (queue, let_go, written) = slow();
        queue.push(b"never read".to_vec());
        queue.finish();
        assert!(written.lock().unwrap().is_empty());
        drop(let_go);
    }
}
