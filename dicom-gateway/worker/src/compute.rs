//! Where jobs compute: blocking threads behind a number of slots and a budget of memory.

use crate::error::{Result, WorkerError};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use tokio::sync::Semaphore;

const MIB: u64 = 1 << 20;

/// Slots and memory for computing.
///
/// The permits travel into the thread: a computation whose job was given up keeps its slot until it really ends,
/// so runaway threads can never be more than the slots.
#[derive(Debug, Clone)]
pub struct Compute {
    slots: Arc<Semaphore>,
    memory: Arc<Semaphore>,
    memory_mib: u32,
}

impl Compute {
    /// `slots` computations at once that use `memory_mib` MiB together.
    pub fn new(slots: usize, memory_mib: u32) -> Self {
        let memory_mib = memory_mib.max(1);
        Self {
            slots: Arc::new(Semaphore::new(slots.max(1))),
            memory: Arc::new(Semaphore::new(memory_mib as usize)),
            memory_mib,
        }
    }

    /// Runs `work` on a blocking thread when a slot and `memory_bytes` are free.
    ///
    /// # Errors
    /// [`WorkerError::Memory`] when it can never fit, [`WorkerError::Panicked`], or what `work` says.
    pub async fn run<T, F>(&self, memory_bytes: u64, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T> + Send + 'static,
    {
        let needed_mib = memory_bytes.div_ceil(MIB).max(1);
        let limit_mib = self.memory_mib;
        let permits = u32::try_from(needed_mib)
            .ok()
            .filter(|needed| *needed <= limit_mib)
            .ok_or(WorkerError::Memory {
                needed_mib,
                limit_mib,
            })?;
        // Memory first: a waiting giant then holds no slot that small jobs could use.
        let memory = Arc::clone(&self.memory).acquire_many_owned(permits).await;
        let memory = memory.map_err(|_| WorkerError::Stopped)?;
        let slot = Arc::clone(&self.slots)
            .acquire_owned()
            .await
            .map_err(|_| WorkerError::Stopped)?;
        let task = tokio::task::spawn_blocking(move || {
            let _held = (memory, slot);
            // A panic inside a decoder is the object's fault, never the worker's end.
            catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(WorkerError::Panicked))
        });
        task.await.map_err(|_| WorkerError::Stopped)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    #[tokio::test]
    async fn a_panic_is_an_error_and_frees_its_slot() {
        let compute = Compute::new(1, 16);
        for _ in 0..3 {
            let result: Result<()> = compute.run(1, || panic!("broken frame")).await;
            assert!(matches!(result, Err(WorkerError::Panicked)));
        }
        assert_eq!(compute.run(1, || Ok(7)).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn what_never_fits_is_refused() {
        let compute = Compute::new(1, 4);
        let result = compute.run(5 * MIB, || Ok(())).await;
        assert!(matches!(
            result,
            Err(WorkerError::Memory {
                needed_mib: 5,
                limit_mib: 4
            })
        ));
    }

    #[tokio::test]
    async fn memory_bounds_what_runs_together() {
        static RUNNING: AtomicUsize = AtomicUsize::new(0);
        static MOST: AtomicUsize = AtomicUsize::new(0);
        let compute = Compute::new(8, 4);
        let jobs = (0..8).map(|_| {
            let compute = compute.clone();
            tokio::spawn(async move {
                compute
                    .run(2 * MIB, || {
                        let now = RUNNING.fetch_add(1, Ordering::SeqCst) + 1;
                        MOST.fetch_max(now, Ordering::SeqCst);
                        std::thread::sleep(Duration::from_millis(15));
                        RUNNING.fetch_sub(1, Ordering::SeqCst);
                        Ok(())
                    })
                    .await
            })
        });
        for job in jobs.collect::<Vec<_>>() {
            job.await.unwrap().unwrap();
        }
        assert_eq!(MOST.load(Ordering::SeqCst), 2);
    }
}
