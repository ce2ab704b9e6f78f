//! Files of images: uploads that nobody feeds any more are ended, deleted images removed, missing files told, and
//! cancelled uploads stopped.

mod plan;

use plan::{Step, plan};

use super::volumes::{MISSING, files_in, sweep};
use super::{Reconcile, Summary};
use crate::Core;
use crate::error::storage;
use crate::pool::Pool;
use crate::upload::give_up;
use hostd_types::command::ImageCommand;
use hostd_types::*;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

/// Keeps images as they are wanted.
pub(super) struct Images {
    core: Core,
    told: BTreeSet<PathBuf>,
}

impl Images {
    pub fn new(core: &Core) -> Self {
        Self { core: core.clone(), told: BTreeSet::new() }
    }

    async fn cancel_asked(&self) -> Result<(), Problem> {
        for task in self.core.store().running_tasks_on(self.core.host()).await? {
            if task.cancelling && task.subject.kind == Kind::Image {
                self.core.0.live.cancel(task.id);
            }
        }
        Ok(())
    }

    async fn act(&self, image: &Image, step: Step) -> Result<(), Problem> {
        let id = image.id;
        let command = match step {
            Step::GiveUp => {
                let detail = "The upload was interrupted and nobody feeds it any more. Send the file again.";
                return give_up(&self.core, id, Problem::new(ProblemKind::Cancelled, detail)).await;
            }
            Step::Remove => {
                self.remove_files(id).await?;
                ImageCommand::Deleted { id }
            }
            Step::Report { missing } => {
                ImageCommand::Report { id, fault: missing.then(|| MISSING.to_owned()) }
            }
        };
        self.core.report(Command::Image(command)).await.map(drop)
    }

    async fn remove_files(&self, id: ImageId) -> Result<(), Problem> {
        let pool = &self.core.0.pool;
        Pool::discard(vec![pool.image_part(id), pool.image(id)]).await.map_err(storage)
    }
}

impl Reconcile for Images {
    fn name(&self) -> &'static str {
        "images"
    }
    fn period(&self) -> Duration {
        Duration::from_secs(60)
    }
    async fn run(&mut self) -> Result<Summary, Problem> {
        self.cancel_asked().await?;
        // Files first: whatever has a row now had it before its file.
        let files = files_in(&self.core.0.pool.images()).map_err(storage)?;
        let images = self.core.store().images_on(self.core.host()).await?;
        let known: BTreeSet<String> = images.iter().map(|image| image.id.to_string()).collect();
        sweep(&files, &known, &mut self.told);
        let mut summary = Summary { checked: images.len(), ..Summary::default() };
        for image in images {
            let exists = self.core.0.pool.image(image.id).exists();
            let Some(step) = plan(&image, exists, self.core.0.live.uploading(image.id)) else { continue };
            match self.act(&image, step).await {
                Ok(()) => summary.changed += 1,
                Err(problem) => {
                    tracing::warn!(image = %image.id, %problem, "an image is not as wanted yet");
                    summary.failed += 1;
                }
            }
        }
        Ok(summary)
    }
}
