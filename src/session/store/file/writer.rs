//! The one thread that writes. Whatever has queued up goes into one commit, and nobody is told that
//! something is done before it is on the disk.

use std::{
    io::ErrorKind,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};

use redb::{Database, Error, StorageBackend};
use tokio::sync::{mpsc, oneshot};

use super::{
    disk::Fenced,
    open::{Check, guarded, shadow, tree},
    tables::Changes,
};
use crate::clock::{SharedClock, Timestamp};

/// Most calls that share a commit.
const MOST_IN_ONE: usize = 256;

/// Most calls that wait for the thread; who comes then waits for a place.
const MOST_JOBS: usize = 1024;

/// Something to write.
pub(super) trait Job: Send {
    /// Does it, in a transaction that may yet be undone.
    fn run(&mut self, changes: &mut Changes<'_>) -> Result<(), Error>;

    /// Tells the caller what came of it, when that cannot change any more.
    fn answer(self: Box<Self>, outcome: Result<(), &str>);
}

/// A piece of work and the one who waits for it.
pub(super) struct Call<W, T> {
    work: Option<W>,
    done: Option<T>,
    tell: Box<dyn FnOnce(&T) + Send>,
    reply: oneshot::Sender<Result<T, String>>,
}

impl<W, T> Call<W, T> {
    /// Work, and where its outcome will be.
    pub(super) fn new(work: W) -> (Self, oneshot::Receiver<Result<T, String>>) {
        Self::telling(work, |_| ())
    }

    /// The same; what came of it is told as soon as it is on the disk, whether or not anybody waits for the
    /// answer by then.
    pub(super) fn telling(
        work: W,
        tell: impl FnOnce(&T) + Send + 'static,
    ) -> (Self, oneshot::Receiver<Result<T, String>>) {
        let (reply, answer) = oneshot::channel();
        (Self { work: Some(work), done: None, tell: Box::new(tell), reply }, answer)
    }
}

impl<T: Send, W: FnOnce(&mut Changes<'_>) -> Result<T, Error> + Send> Job for Call<W, T> {
    fn run(&mut self, changes: &mut Changes<'_>) -> Result<(), Error> {
        if let Some(work) = self.work.take() {
            self.done = Some(work(changes)?);
        }
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<(), &str>) {
        let answer = match (outcome, self.done) {
            (Ok(()), Some(done)) => {
                (self.tell)(&done);
                Ok(done)
            }
            (Ok(()), None) => return,
            (Err(reason), _) => Err(reason.to_owned()),
        };
        // Nobody waits when the caller has gone away.
        let _ = self.reply.send(answer);
    }
}

/// What the thread and the readers share.
pub(super) struct Shared {
    /// The tree to read: the one that is written, or a shadow of it.
    readable: RwLock<Arc<Database>>,
    /// Why nothing can be written, when that is so.
    trouble: Mutex<Option<String>>,
    last_commit: AtomicU64,
    clock: SharedClock,
}

impl Shared {
    /// The tree to read.
    pub(super) fn readable(&self) -> Arc<Database> {
        Arc::clone(&self.readable.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn read_from(&self, database: Arc<Database>) {
        let mut readable = self.readable.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *readable, database);
        drop(readable);
        // Its last words may fail, at the fence if nowhere else.
        let _ = guarded(|| {
            drop(old);
            Ok(())
        });
    }

    /// Why nothing can be written, when that is so.
    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// When something was written last.
    pub(super) fn last_commit(&self) -> Timestamp {
        Timestamp::from_millis(self.last_commit.load(Ordering::Relaxed))
    }

    fn failed(&self, error: &Error) -> String {
        let reason = reason(error);
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if trouble.as_ref() != Some(&reason) {
            tracing::error!(event = "store_failed", %reason);
        }
        trouble.insert(reason).clone()
    }

    fn committed(&self) {
        self.last_commit.store(self.clock.now().millis(), Ordering::Relaxed);
        if self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take().is_some() {
            tracing::info!(event = "store_recovered");
        }
    }
}

/// What the tree says, and what to do about it.
pub(super) fn reason(error: &Error) -> String {
    let cure = match error_kind(error) {
        Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => {
            "; make room on the disk of state_dir, and it goes on by itself"
        }
        Some(ErrorKind::ReadOnlyFilesystem) => "; make the disk of state_dir writable, and it goes on by itself",
        Some(_) | None => "",
    };
    format!("{error}{cure}")
}

fn error_kind(error: &Error) -> Option<ErrorKind> {
    if let Error::Io(error) = error { Some(error.kind()) } else { None }
}

/// The thread, from the side of those who give it work.
pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Opens the tree on a disk that was checked, does a first job, and starts the thread.
    pub(super) fn start(
        disk: Arc<dyn StorageBackend>,
        first: Box<dyn Job>,
        clock: SharedClock,
    ) -> Result<(Self, Arc<Shared>), Error> {
        let tree = Tree::on(&disk)?;
        let shared = Arc::new(Shared {
            readable: RwLock::new(Arc::clone(&tree.database)),
            trouble: Mutex::default(),
            last_commit: AtomicU64::new(0),
            clock,
        });
        let (jobs, queue) = mpsc::channel(MOST_JOBS);
        let mut work = Work { shared: Arc::clone(&shared), disk, tree: Some(tree) };
        work.write(vec![first]);
        let thread = thread::Builder::new().name("session-store".to_owned()).spawn(move || work.run(queue))?;
        Ok((Self { jobs: Some(jobs), thread: Some(thread) }, shared))
    }

    /// Waits for a place and queues a job. Its caller hears when the thread has ended.
    pub(super) async fn queue(&self, job: Box<dyn Job>) {
        if let Some(jobs) = &self.jobs {
            let _ = jobs.send(job).await;
        }
    }
}

/// What is queued is written, and the file closed, before the owner is gone.
impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The tree that is written.
struct Tree {
    database: Arc<Database>,
    fence: Fenced,
}

impl Tree {
    fn on(disk: &Arc<dyn StorageBackend>) -> Result<Self, Error> {
        let fence = Fenced::new(Arc::clone(disk));
        Ok(Self { database: Arc::new(tree(fence.clone(), Check::LastCommit)?), fence })
    }
}

/// The thread's side.
struct Work {
    shared: Arc<Shared>,
    disk: Arc<dyn StorageBackend>,
    /// None, after a failure that it could not be opened anew after.
    tree: Option<Tree>,
}

impl Work {
    fn run(mut self, mut queue: mpsc::Receiver<Box<dyn Job>>) {
        while let Some(first) = queue.blocking_recv() {
            let mut jobs = vec![first];
            while jobs.len() < MOST_IN_ONE
                && let Ok(job) = queue.try_recv()
            {
                jobs.push(job);
            }
            self.write(jobs);
        }
    }

    fn write(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        let written = self.tree().and_then(|database| self.commit(&database, &mut jobs));
        let failure = written.err().map(|error| self.recover(&error));
        for job in jobs {
            job.answer(failure.as_deref().map_or(Ok(()), Err));
        }
    }

    fn tree(&mut self) -> Result<Arc<Database>, Error> {
        let tree = match self.tree.take() {
            Some(tree) => tree,
            None => {
                let tree = Tree::on(&self.disk)?;
                self.shared.read_from(Arc::clone(&tree.database));
                tree
            }
        };
        Ok(Arc::clone(&self.tree.insert(tree).database))
    }

    /// All jobs or none.
    fn commit(&self, database: &Database, jobs: &mut [Box<dyn Job>]) -> Result<(), Error> {
        guarded(|| {
            let mut transaction = database.begin_write()?;
            // Two flushes instead of one: the file opens at once after a failure, without a walk through it.
            transaction.set_quick_repair(true);
            let mut changes = Changes::new(&transaction)?;
            for job in jobs {
                job.run(&mut changes)?;
            }
            let any = changes.any();
            drop(changes);
            if !any {
                return Ok(transaction.abort()?);
            }
            transaction.commit()?;
            self.shared.committed();
            Ok(())
        })
    }

    /// After any failure the tree refuses to write until it is opened anew, and knows only what it has in
    /// memory. When it does not open (nothing at all can be written to the disk), a shadow of it can still
    /// be read.
    fn recover(&mut self, error: &Error) -> String {
        let reason = self.shared.failed(error);
        if let Some(tree) = self.tree.take() {
            tree.fence.retire();
        }
        if let Err(error) = self.tree() {
            self.shared.failed(&error);
            if let Ok(database) = shadow(&self.disk, Check::LastCommit) {
                self.shared.read_from(Arc::new(database));
            }
        }
        reason
    }
}
