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
        let unanswered = Cell::new(false);
        let ask = async || match self.await_export(&endpoint, associating, &unanswered).await {
            // A connection that broke says nothing about the next client's call.
            Err(problem) if unanswered.get() => Err(problem),
            answer => Ok(answer),
        };
        self.export.answer.get_or_try_init(ask).await?.clone()
    }

    /// Waits for the export. Sets `unanswered` where AWS has not said why there is none.
    async fn await_export(
        &self,
        endpoint: &str,
        associating: bool,
        unanswered: &Cell<bool>,
    ) -> Result<String, Problem> {
        let stop = self.context.stop;
        let last = RefCell::new(None);
        let what = "the endpoint's client configuration";
        let answer = wait_for(beat::every(ASSOCIATION), stop, what, async || {
            let answer = endpoint::export_configuration(&self.services.ec2, endpoint, stop).await;
            let answer = answer.inspect_err(|problem| {
                unanswered.set(!problem.is_denial() && !problem.is_about_credentials());
            });
            match answer? {
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
