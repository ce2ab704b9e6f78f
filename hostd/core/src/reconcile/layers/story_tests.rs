//! Histories of snapshots with real files: writes, snapshots, ways back, deletions, and crashes inside any of their
//! steps. After each, what the disk and every snapshot show is what was written, byte for byte.

use super::files::{FileStep, merge};
use crate::admit::sample;
use crate::pool::Pool;
use hostd_run::Run;
use hostd_types::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Histories of one run of the suite; `QUANTIX_SNAPSHOT_HISTORIES` is another number.
const STORIES: u32 = 200;
/// Size of the disk; two clusters of qcow2 and a bit.
const SIZE: u64 = 160 << 10;
/// What is written at once.
const BLOCK: usize = 16 << 10;

/// What happens next; numbers choose among what there is.
#[derive(Debug, Clone)]
enum Act {
    Write { at: u8, byte: u8 },
    Take,
    Revert(u8),
    Delete(u8),
}

/// What happens, and after how many steps the host dies in it, if it does.
type Beat = (Act, Option<u8>);

fn beats() -> impl Strategy<Value = Vec<Beat>> {
    let act = prop_oneof![
        4 => (any::<u8>(), any::<u8>()).prop_map(|(at, byte)| Act::Write { at, byte }),
        3 => Just(Act::Take),
        2 => any::<u8>().prop_map(Act::Revert),
        3 => any::<u8>().prop_map(Act::Delete),
    ];
    proptest::collection::vec((act, proptest::option::weighted(0.4, 0_u8..5)), 2..9)
}

/// The host dies.
struct Died;

struct Story {
    pool: Pool,
    volume: Volume,
    /// The layer of each snapshot, and what it has to show.
    snapshots: BTreeMap<u32, (LayerId, Vec<u8>)>,
    /// What the disk has to show.
    now: Vec<u8>,
    names: u32,
    /// Steps until the host dies.
    fuse: Option<u8>,
}

impl Story {
    async fn begin(pool: Pool, format: DiskFormat) -> Self {
        let mut volume = sample::volume("data");
        (volume.spec.format, volume.spec.size_bytes) = (format, SIZE);
        let base = pool.active(&volume).path;
        hostd_virt::disk::create(&base, format, SIZE, None).await.expect("the disk");
        let now = vec![0; SIZE as usize];
        Self { pool, volume, snapshots: BTreeMap::new(), now, names: 0, fuse: None }
    }

    fn owned(&self) -> BTreeSet<LayerId> {
        self.snapshots.values().map(|(layer, _)| *layer).collect()
    }

    /// One step; the host may die before it, or in the middle of a copy.
    async fn step(&mut self, step: FileStep) -> Result<(), Died> {
        let work = step.run(&self.pool, &self.volume);
        match self.fuse {
            Some(0) => {
                self.fuse = None;
                let _ = tokio::time::timeout(Duration::from_millis(8), work).await;
                let layers = self.volume.spec.layers.over.keys().copied().chain([LayerId::BASE]);
                for file in
                    layers.map(|layer| self.pool.layer(&self.volume, layer)).filter(|f| f.path.exists())
                {
                    hostd_virt::disk::let_go(&file).await.expect("the dead hold no file");
                }
                return Err(Died);
            }
            Some(left) => self.fuse = Some(left - 1),
            None => {}
        }
        work.await.unwrap_or_else(|error| panic!("{step:?}: {error}"));
        Ok(())
    }

    async fn act(&mut self, act: &Act) {
        match act {
            Act::Write { at, byte } => self.write(*at, *byte).await,
            Act::Take => {
                let (next, under) = (LayerId::new(), self.volume.spec.layers.active);
                // Asked for until it is done: the rows name the layer.
                while self.step(FileStep::Put { next, under }).await.is_err() {}
                self.volume.spec.layers.put(next, under);
                self.names += 1;
                self.snapshots.insert(self.names, (under, self.now.clone()));
            }
            Act::Revert(which) => {
                let Some((under, shown)) = chosen(&self.snapshots, *which).map(|(_, s)| s.clone()) else {
                    return;
                };
                let next = LayerId::new();
                while self.step(FileStep::Put { next, under }).await.is_err() {}
                self.volume.spec.layers.put(next, under);
                self.now = shown;
                let owned = self.owned();
                self.volume.spec.layers.shed(&owned);
            }
            Act::Delete(which) => {
                let Some(name) = chosen(&self.snapshots, *which).map(|(name, _)| *name) else { return };
                self.snapshots.remove(&name);
                let owned = self.owned();
                self.volume.spec.layers.shed(&owned);
            }
        }
    }

    /// The reconciler's work until nothing is to do; a death only begins it anew.
    async fn settle(&mut self) {
        loop {
            let owned = self.owned();
            if let Some(upper) = self.volume.spec.layers.next_merge(&owned) {
                if self.merge(upper).await.is_ok() {
                    let lower = self.volume.spec.layers.merge(upper).expect("a lower layer");
                    for (layer, _) in self.snapshots.values_mut().filter(|(layer, _)| *layer == upper) {
                        *layer = lower;
                    }
                    let owned = self.owned();
                    self.volume.spec.layers.shed(&owned);
                }
            } else if let Some(layer) = self.volume.spec.layers.gone.first().copied() {
                if self.step(FileStep::Remove { layer }).await.is_ok() {
                    self.volume.spec.layers.gone.remove(&layer);
                }
            } else {
                return;
            }
        }
    }

    async fn merge(&mut self, upper: LayerId) -> Result<(), Died> {
        for step in merge(&self.volume.spec.layers, upper) {
            self.step(step).await?;
        }
        Ok(())
    }

    async fn write(&mut self, at: u8, byte: u8) {
        let start = usize::from(at) % (SIZE as usize / BLOCK) * BLOCK;
        let active = self.pool.active(&self.volume);
        let order = format!("write -P {byte} {start} {BLOCK}");
        let run = Run::new("qemu-io").args(["-f", active.format.as_str(), "-c", &order]);
        run.arg(&active.path).output().await.expect("qemu-io");
        self.now[start..start + BLOCK].fill(byte);
    }

    async fn shown(&self, layer: LayerId) -> Vec<u8> {
        let file = self.pool.layer(&self.volume, layer);
        let out = self.pool.volumes().join("shown");
        let run = Run::new("qemu-img").args(["convert", "-f", file.format.as_str(), "-O", "raw"]);
        run.arg(&file.path).arg(&out).output().await.expect("qemu-img convert");
        std::fs::read(out).expect("what it shows")
    }

    /// Everything shows what was written, and no file is there that the rows don't know.
    async fn check(&self) {
        assert!(
            self.shown(self.volume.spec.layers.active).await == self.now,
            "the disk shows something else"
        );
        for (name, (layer, wanted)) in &self.snapshots {
            assert!(self.shown(*layer).await == *wanted, "snapshot {name} shows something else");
        }
        let known = self.volume.spec.layers.over.keys().copied().chain([LayerId::BASE]);
        let known: BTreeSet<_> = known.map(|layer| self.pool.layer(&self.volume, layer).path).collect();
        let there = self.pool.files_of(self.volume.id).expect("files").into_iter().collect();
        assert_eq!(known, there);
    }
}

fn chosen<V>(among: &BTreeMap<u32, V>, which: u8) -> Option<(&u32, &V)> {
    among.iter().nth(usize::from(which) % among.len().max(1))
}

async fn tell(beats: Vec<Beat>, raw: bool) {
    let dir = tempfile::tempdir().expect("directory");
    let pool = Pool::at(dir.path());
    pool.make().expect("pool");
    let format = if raw { DiskFormat::Raw } else { DiskFormat::Qcow2 };
    let mut story = Story::begin(pool, format).await;
    for (act, fuse) in beats {
        story.fuse = fuse;
        story.act(&act).await;
        story.settle().await;
        story.check().await;
    }
}

#[test]
fn no_history_of_snapshots_loses_a_byte() {
    if missing("qemu-io") {
        return eprintln!("skipped: qemu-io is not installed");
    }
    let given = std::env::var("QUANTIX_SNAPSHOT_HISTORIES").ok().and_then(|n| n.parse().ok());
    let cases = given.unwrap_or(STORIES);
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    let config = ProptestConfig {
        cases,
        max_shrink_iters: 60,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let told = runner.run(&(beats(), any::<bool>()), |(beats, raw)| {
        runtime.block_on(tell(beats, raw));
        Ok(())
    });
    told.unwrap_or_else(|error| panic!("{error}"));
    eprintln!("histories of snapshots: {cases}");
}

fn missing(program: &str) -> bool {
    !hostd_run::PATH.split(':').any(|dir| std::path::Path::new(dir).join(program).exists())
}
