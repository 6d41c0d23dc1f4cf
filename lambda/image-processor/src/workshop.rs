//! Where pictures are made: engines and buffers that are used again, and bounds on memory and cores.
//!
//! Records of one event are worked on at the same time. What they hold together stays within the function's memory:
//! before an object is read its size is reserved, and before pictures are made of it what that takes. Whoever reserves
//! for the work holds its reading's share already and never asks for more of that, so nobody waits for each other.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use image_engine::{Engine, Limits, Made, Reason, Recipe};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The share of the memory that is for objects as they were read: one part of so many.
const READING_SHARE: u64 = 8;

/// Reservations are counted in blocks of so many bytes.
const BLOCK: u64 = 64 * 1024;

/// A buffer that has grown past this is given back to the system.
const LARGEST_KEPT: usize = 16 * 1024 * 1024;

/// Engines, buffers and reservations of one process.
#[derive(Debug)]
pub(crate) struct Workshop {
    shelf: Arc<Shelf>,
    hands: Arc<Semaphore>,
    /// Absent where the process's memory is not known.
    memory: Option<Memory>,
}

#[derive(Debug)]
struct Memory {
    reading: Pool,
    working: Pool,
}

/// A share of the memory. Who asks for more than there is gets all of it, and so is alone with it.
#[derive(Debug)]
struct Pool {
    free: Arc<Semaphore>,
    blocks: u32,
}

/// What lies ready to be used again.
#[derive(Debug, Default)]
struct Shelf {
    engines: Mutex<Vec<Engine>>,
    buffers: Mutex<Vec<Vec<u8>>>,
}

/// A reservation, until it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Reserved(#[allow(dead_code, reason = "held, not looked at")] Option<OwnedSemaphorePermit>);

/// An object's bytes, and the reservation they lie in.
#[derive(Debug)]
pub(crate) struct Material {
    /// The bytes.
    pub(crate) bytes: Vec<u8>,
    #[allow(dead_code, reason = "held, not looked at")]
    reserved: Reserved,
    shelf: Arc<Shelf>,
}

impl Drop for Material {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.bytes);
        if (1..=LARGEST_KEPT).contains(&buffer.capacity()) {
            lock(&self.shelf.buffers).push(buffer);
        }
    }
}

/// How the making of pictures ended.
#[derive(Debug)]
pub(crate) enum Work {
    /// They were made, or never can be.
    Done(Result<Made, Reason>),
    /// The time was up. Whoever works on it ends in his own time, and keeps his reservation until then.
    Late,
}

impl Workshop {
    /// A workshop for a process of `memory` bytes, with as many hands as the machine has cores.
    pub(crate) fn new(memory: Option<u64>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self {
            shelf: Arc::default(),
            hands: Arc::new(Semaphore::new(cores)),
            memory: memory.map(|bytes| {
                let bytes = bytes.saturating_sub(Limits::BASE_MEMORY);
                let reading = bytes / READING_SHARE;
                Memory { reading: Pool::new(reading), working: Pool::new(bytes - reading) }
            }),
        }
    }

    /// A buffer for an object of `bytes` bytes, as soon as there is room for it.
    pub(crate) async fn receive(&self, bytes: u64) -> Material {
        let reserved = match &self.memory {
            Some(memory) => memory.reading.reserve(bytes).await,
            None => Reserved::default(),
        };
        let buffer = lock(&self.shelf.buffers).pop().unwrap_or_default();
        Material { bytes: buffer, reserved, shelf: Arc::clone(&self.shelf) }
    }

    /// Waits for a free hand and for room.
    pub(crate) async fn prepare(&self, material: &Material, recipe: &Recipe, limits: &Limits) -> Bench {
        let room = match &self.memory {
            Some(memory) => memory.working.reserve(self.estimate(&material.bytes, recipe, limits)).await,
            None => Reserved::default(),
        };
        let hand = Arc::clone(&self.hands).acquire_owned().await.ok();
        Bench { room, hand: Reserved(hand) }
    }

    fn estimate(&self, bytes: &[u8], recipe: &Recipe, limits: &Limits) -> u64 {
        let mut engine = lock(&self.shelf.engines).pop().unwrap_or_default();
        let most = engine.estimate_memory(bytes, recipe, limits);
        lock(&self.shelf.engines).push(engine);
        most
    }

    /// Makes the pictures, on a thread of its own, so that S3's connections are looked after meanwhile.
    pub(crate) async fn make(
        &self,
        material: Material,
        recipe: &Recipe,
        limits: Limits,
        bench: Bench,
        patience: Duration,
    ) -> Work {
        let until = limits.deadline;
        let recipe = recipe.clone();
        let kept = Arc::clone(&self.shelf);
        let work = tokio::task::spawn_blocking(move || {
            let mut engine = lock(&kept.engines).pop().unwrap_or_default();
            let made = engine.process(&material.bytes, &recipe, &limits);
            lock(&kept.engines).push(engine);
            drop((material, bench));
            made
        });
        let done = match until {
            Some(until) => match tokio::time::timeout_at((until + patience).into(), work).await {
                Ok(done) => done,
                Err(_) => return Work::Late,
            },
            None => work.await,
        };
        Work::Done(done.unwrap_or_else(|error| Err(Reason::DecoderPanicked(error.to_string()))))
    }
}

/// A free hand and room for the work, until it is dropped.
#[derive(Debug)]
#[allow(dead_code, reason = "held, not looked at")]
pub(crate) struct Bench {
    room: Reserved,
    hand: Reserved,
}

impl Pool {
    fn new(bytes: u64) -> Self {
        let blocks = u32::try_from(bytes / BLOCK).unwrap_or(u32::MAX).max(1);
        Self { free: Arc::new(Semaphore::new(blocks as usize)), blocks }
    }

    async fn reserve(&self, bytes: u64) -> Reserved {
        let blocks = u32::try_from(bytes.div_ceil(BLOCK)).unwrap_or(u32::MAX).clamp(1, self.blocks);
        // The semaphore is never closed; if it were, working without a bound is better than not working.
        Reserved(Arc::clone(&self.free).acquire_many_owned(blocks).await.ok())
    }
}

/// No panic leaves a shelf in disorder.
fn lock<T>(shelf: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The earlier of two moments.
pub(crate) fn earlier(a: Instant, b: Option<Instant>) -> Instant {
    b.map_or(a, |b| a.min(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[tokio::test]
    async fn a_buffer_is_used_again() {
        let shop = Workshop::new(Some(512 * MIB));
        let mut material = shop.receive(5000).await;
        material.bytes.reserve_exact(5000);
        let at = material.bytes.as_ptr();
        drop(material);
        let again = shop.receive(1000).await;
        assert_eq!(again.bytes.as_ptr(), at);
        assert!(again.bytes.is_empty());
    }

    #[tokio::test]
    async fn readings_wait_for_room_and_none_is_refused() {
        let shop = Workshop::new(Some(Limits::BASE_MEMORY + 8 * MIB));
        let large = shop.receive(1000 * MIB).await;
        let waiting = shop.receive(1);
        tokio::pin!(waiting);
        assert!(futures::poll!(&mut waiting).is_pending());
        drop(large);
        assert!(futures::poll!(&mut waiting).is_ready());
    }

    #[tokio::test]
    async fn a_large_picture_is_alone_and_small_ones_are_not() {
        let shop = Workshop::new(Some(128 * MIB));
        let png = |width: u32, height: u32| {
            let mut bytes = std::io::Cursor::new(Vec::new());
            let picture = image::GrayImage::new(width, height);
            picture.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
            bytes.into_inner()
        };
        let (small, large) = (png(10, 10), png(9000, 9000));
        let (recipe, limits) = (Recipe::default(), Limits { max_pixels: 100_000_000, ..Limits::default() });
        let needs = |bytes: &[u8]| shop.estimate(bytes, &recipe, &limits);
        assert!(needs(&small) < 5 * MIB && needs(&large) > 80 * MIB, "{} {}", needs(&small), needs(&large));
        assert_eq!(needs(b"no image"), 0);

        let mut material = shop.receive(1).await;
        material.bytes.extend_from_slice(&large);
        let alone = shop.prepare(&material, &recipe, &limits).await;
        material.bytes.clear();
        material.bytes.extend_from_slice(&small);
        let next = shop.prepare(&material, &recipe, &limits);
        tokio::pin!(next);
        assert!(futures::poll!(&mut next).is_pending());
        drop(alone);
        assert!(futures::poll!(&mut next).is_ready());
    }

    #[tokio::test]
    async fn no_more_are_at_work_than_there_are_cores() {
        let shop = Workshop::new(None);
        let cores = std::thread::available_parallelism().unwrap().get();
        let material = shop.receive(1).await;
        let (recipe, limits) = (Recipe::default(), Limits::default());
        let mut benches = Vec::new();
        for _ in 0..cores {
            benches.push(shop.prepare(&material, &recipe, &limits).await);
        }
        let next = shop.prepare(&material, &recipe, &limits);
        tokio::pin!(next);
        assert!(futures::poll!(&mut next).is_pending());
        benches.pop();
        assert!(futures::poll!(&mut next).is_ready());
    }
}
