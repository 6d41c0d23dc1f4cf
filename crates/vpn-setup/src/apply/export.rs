//! The endpoint's configuration, exported once for the files of all clients.
//!
//! AWS does not say from when on it exports: it is asked as soon as there is an endpoint, so that the files are there
//! minutes before the association is. Where that is too early, it is asked again at an even beat.

use std::cell::{Cell, RefCell};

use lab_plan::{Problem, wait_for};
use tokio::sync::OnceCell;

use super::Worker;
use crate::beat::{self, ASSOCIATION};
use crate::endpoint::{self, Exported};

/// What all steps of a run know of the export.
#[derive(Debug, Default)]
pub(crate) struct Export {
    answer: OnceCell<Result<String, Problem>>,
    /// How the first association ended; `None` while none has.
    associated: Cell<Option<bool>>,
}

impl Export {
    /// Remembers how an association ended: one that is there is enough.
    pub(super) fn note_association(&self, is_there: bool) {
        self.associated.set(Some(is_there || self.associated.get() == Some(true)));
    }

    /// Whether time may heal a refusal. While the association is under way, that is any; later those that say so.
    fn may_pass(&self, associating: bool, passes: bool) -> bool {
        match self.associated.get() {
            None => associating || passes,
            Some(is_there) => is_there && passes,
        }
    }
}

impl Worker<'_> {
    /// The export, which whoever comes first asks for. `associating` says that no subnet is associated yet.
    pub(super) async fn export_configuration(&self, associating: bool) -> Result<String, Problem> {
        let endpoint = self.endpoint_id()?;
        self.export.answer.get_or_init(|| self.await_export(&endpoint, associating)).await.clone()
    }

    async fn await_export(&self, endpoint: &str, associating: bool) -> Result<String, Problem> {
        let stop = self.context.stop;
        let last = RefCell::new(None);
        let what = "the endpoint's client configuration";
        let answer = wait_for(beat::every(ASSOCIATION), stop, what, async || {
            match endpoint::export_configuration(&self.services.ec2, endpoint, stop).await? {
                Exported::Text(text) => Ok(Some(text)),
                Exported::Refused { why, passes } if self.export.may_pass(associating, passes) => {
                    self.context.line.waits_for("AWS exports no configuration yet");
                    last.replace(Some(why));
                    Ok(None)
                }
                Exported::Refused { why, .. } => Err(why),
            }
        })
        .await;
        // When time has run out, AWS's last words say why.
        answer.map_err(|problem| match last.take() {
            Some(refusal) if problem.why().is_none() && stop.asked().is_none() => problem.because(refusal.what()),
            _ => problem,
        })
    }
}
