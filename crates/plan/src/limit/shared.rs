//! A bucket in a file that several processes share.
//!
//! The file holds one bucket and is locked for the microseconds of a change. A process that is killed lets its lock go; a
//! file that makes no sense (torn, old, not ours) counts as a full bucket. Nothing waits for the lock for long.

use std::fs::File;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::bucket::{Bucket, CLASS};

/// What the file begins with; the figures are four little-endian `f64`.
const MARK: &[u8; 8] = b"labrate1";
const LENGTH: usize = 8 + 4 * 8;
/// A change takes some microseconds. Who holds the lock for longer than all tries is stopped (Ctrl-Z): we go on alone.
const TRIES: u32 = 40;
const BETWEEN_TRIES: Duration = Duration::from_micros(250);

#[derive(Debug)]
pub(super) struct SharedBucket {
    /// A file lock does not keep two threads of one process apart.
    file: Mutex<File>,
}

impl SharedBucket {
    /// The bucket in this file; `None` where it can be neither opened nor made.
    pub(super) fn open(path: &Path) -> Option<Self> {
        let file = File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(path).ok()?;
        Some(Self { file: Mutex::new(file) })
    }

    /// Changes the bucket; `change` gets the time too. `None` where the file cannot be locked or written.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Bucket, f64) -> T) -> Option<T> {
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        lock(&file)?;
        // The wall clock is the one that all processes share; the bucket bears with its jumps.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let mut bucket = read(&file).unwrap_or_else(|| Bucket::full(&CLASS, now));
        let answer = change(&mut bucket, now);
        let written = file.write_all_at(&encode(&bucket), 0);
        let unlocked = file.unlock();
        (written.is_ok() && unlocked.is_ok()).then_some(answer)
    }
}

fn lock(file: &File) -> Option<()> {
    for _ in 0..TRIES {
        match file.try_lock() {
            Ok(()) => return Some(()),
            Err(std::fs::TryLockError::WouldBlock) => std::thread::sleep(BETWEEN_TRIES),
            Err(std::fs::TryLockError::Error(_)) => return None,
        }
    }
    None
}

fn read(file: &File) -> Option<Bucket> {
    let mut bytes = [0; LENGTH];
    file.read_exact_at(&mut bytes, 0).ok()?;
    let figures = bytes.strip_prefix(MARK)?;
    let mut numbers = figures.chunks_exact(8).filter_map(|chunk| Some(f64::from_le_bytes(chunk.try_into().ok()?)));
    let bucket =
        Bucket { rate: numbers.next()?, tokens: numbers.next()?, seen: numbers.next()?, slowed: numbers.next()? };
    bucket.is_sound(&CLASS).then_some(bucket)
}

fn encode(bucket: &Bucket) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    bytes[..8].copy_from_slice(MARK);
    let figures = [bucket.rate, bucket.tokens, bucket.seen, bucket.slowed];
    for (place, figure) in bytes[8..].chunks_exact_mut(8).zip(figures) {
        place.copy_from_slice(&figure.to_le_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limiter;

    fn look(bucket: &SharedBucket) -> Bucket {
        bucket.change(|bucket, _| *bucket).expect("the file works")
    }

    #[test]
    fn what_one_process_learns_all_know() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rate");
        // Files opened for themselves lock each other out as processes do.
        let (one, other) = (Limiter::sharing(&path), SharedBucket::open(&path).unwrap());
        let before = look(&other);
        one.throttled();
        let after = look(&other);
        assert!((after.rate - before.rate / 2.0).abs() < 1e-9, "{before:?} {after:?}");
        assert!(after.tokens <= 0.0);
    }

    #[test]
    fn many_at_once_lose_no_token() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rate");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let bucket = SharedBucket::open(&path).unwrap();
                    for _ in 0..25 {
                        while bucket.change(|bucket, _| bucket.tokens -= 1.0).is_none() {}
                    }
                });
            }
        });
        let left = look(&SharedBucket::open(&path).unwrap()).tokens;
        assert_eq!(left.to_bits(), 100.0_f64.to_bits(), "of the 200 of a full bucket");
    }

    #[test]
    fn a_file_that_makes_no_sense_is_a_full_bucket_and_a_held_lock_stops_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rate");
        std::fs::write(&path, "half a wri").unwrap();
        let bucket = SharedBucket::open(&path).unwrap();
        assert!(look(&bucket).tokens > 199.0);
        let held = File::open(&path).unwrap();
        held.lock().unwrap();
        assert_eq!(bucket.change(|_, _| ()), None);
        drop(held);
        assert_eq!(bucket.change(|_, _| ()), Some(()));
    }
}
