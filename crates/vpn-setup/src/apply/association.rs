//! Associating subnets: what takes AWS minutes, and costs by the hour.

use std::cell::Cell;

use aws_sdk_ec2::types::AssociationStatusCode;
use lab_common::{explain, tell_whether_made};
use lab_plan::{Problem, wait_for};

use super::{Worker, make_tokens};
use crate::beat::{self, ASSOCIATION, VISIBILITY};
use crate::endpoint::{self, Association, read_association};
use crate::error::{explain_vpn, is_busy, is_duplicate, is_gone};

/// How the wait for an association ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Came {
    /// It is associated.
    Associated,
    /// There is none, or only one of earlier that is on its way out.
    Gone,
}

impl Worker<'_> {
    /// A token that has been used answers with the first association, also when that has ended since. What does not show
    /// up at once is therefore asked for with another token; EC2 refuses a second association of a subnet, so that does
    /// no harm where the first was only late. The ids of those that are known stand in the token: it is seldom needed.
    pub(super) async fn associate(
        &self,
        name: &str,
        subnet: &str,
        known: &[String],
        leaving: &[String],
    ) -> Result<String, Problem> {
        let endpoint = self.endpoint_id()?;
        for association in leaving {
            self.await_gone(name, &endpoint, association).await?;
        }
        for token in make_tokens(&[&endpoint, subnet, &known.join(" ")]) {
            let request = self
                .services
                .ec2
                .associate_client_vpn_target_network()
                .client_vpn_endpoint_id(&endpoint)
                .subnet_id(subnet)
                .client_token(token);
            let id = match self.change(async || request.clone().send().await).await {
                Ok(answer) => answer.association_id().unwrap_or_default().to_owned(),
                Err(error) if is_duplicate(&error) => self.find_alive(&endpoint, subnet).await?,
                Err(error) => {
                    return Err(tell_whether_made(explain_vpn("AssociateClientVpnTargetNetwork", &error), &error));
                }
            };
            if self.await_associated(name, &endpoint, &id).await? == Came::Associated {
                return Ok(id);
            }
        }
        Err(refuse_withdrawn(name))
    }

    /// Waits for an association that an earlier run began.
    pub(super) async fn await_under_way(&self, name: &str, association: &str) -> Result<String, Problem> {
        match self.await_associated(name, &self.endpoint_id()?, association).await? {
            Came::Associated => Ok(association.to_owned()),
            Came::Gone => Err(refuse_withdrawn(name)),
        }
    }

    async fn await_associated(&self, name: &str, endpoint: &str, id: &str) -> Result<Came, Problem> {
        let was_coming = Cell::new(false);
        let what = format!("the association of {name} ({id})");
        wait_for(beat::every(ASSOCIATION), self.context.stop, what, async || {
            let Some(association) = self.look_at(endpoint, id).await? else {
                return if was_coming.get() { Err(refuse_withdrawn(name)) } else { Ok(Some(Came::Gone)) };
            };
            match association.state {
                AssociationStatusCode::Associated => return Ok(Some(Came::Associated)),
                AssociationStatusCode::Disassociating | AssociationStatusCode::Disassociated if was_coming.get() => {
                    return Err(refuse_withdrawn(name));
                }
                AssociationStatusCode::Disassociating | AssociationStatusCode::Disassociated => {
                    return Ok(Some(Came::Gone));
                }
                AssociationStatusCode::AssociationFailed => return Err(refuse_failed(name, &association)),
                _ => was_coming.set(true),
            }
            self.context.line.waits_for(&format!("is {}", association.state));
            Ok(None)
        })
        .await
        .map_err(|problem| go_on(problem, "the association may still come: run the same command again"))
    }

    /// Ends an association and waits until it is gone. One that is still coming may have to be waited for first.
    pub(super) async fn disassociate(
        &self,
        name: &str,
        endpoint: &str,
        id: &str,
        under_way: bool,
    ) -> Result<(), Problem> {
        if !under_way && let Err(problem) = self.send_disassociate(endpoint, id).await {
            if !self.await_decided(name, endpoint, id).await? {
                return Err(problem);
            }
            self.send_disassociate(endpoint, id).await?;
        }
        self.await_gone(name, endpoint, id).await
    }

    async fn send_disassociate(&self, endpoint: &str, id: &str) -> Result<(), Problem> {
        let request = self
            .services
            .ec2
            .disassociate_client_vpn_target_network()
            .client_vpn_endpoint_id(endpoint)
            .association_id(id);
        self.remove("DisassociateClientVpnTargetNetwork", is_busy, async || request.clone().send().await).await
    }

    /// Waits until an association is associating no more. Answers whether it was.
    async fn await_decided(&self, name: &str, endpoint: &str, id: &str) -> Result<bool, Problem> {
        let was_coming = Cell::new(false);
        let what = format!("{name} to be associated, so that it can be disassociated");
        wait_for(beat::every(ASSOCIATION), self.context.stop, what, async || {
            let found = self.look_at(endpoint, id).await?;
            let coming = found.is_some_and(|association| association.state == AssociationStatusCode::Associating);
            if !coming {
                return Ok(Some(was_coming.get()));
            }
            was_coming.set(true);
            self.context.line.waits_for("is still associating");
            Ok(None)
        })
        .await
    }

    async fn await_gone(&self, name: &str, endpoint: &str, id: &str) -> Result<(), Problem> {
        let what = format!("the end of the association of {name} ({id})");
        wait_for(beat::ending(ASSOCIATION), self.context.stop, what, async || {
            let found = self.look_at(endpoint, id).await?;
            let Some(association) = found.filter(|association| !association.is_gone()) else { return Ok(Some(())) };
            self.context.line.waits_for(&format!("is {}", association.state));
            Ok(None)
        })
        .await
        .map_err(|problem| go_on(problem, "it costs until it is gone: run the same command again"))
    }

    /// EC2 has at times answered with other associations than the one asked for.
    async fn look_at(&self, endpoint: &str, id: &str) -> Result<Option<Association>, Problem> {
        let request = self
            .services
            .ec2
            .describe_client_vpn_target_networks()
            .client_vpn_endpoint_id(endpoint)
            .association_ids(id);
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) if is_gone(&error) => return Ok(None),
            Err(error) => return Err(explain("DescribeClientVpnTargetNetworks", &error)),
        };
        let found = answer.client_vpn_target_networks().iter().filter_map(read_association);
        Ok(found.into_iter().find(|association| association.id == id))
    }

    /// The association that EC2 says exists, once it can be seen.
    async fn find_alive(&self, endpoint: &str, subnet: &str) -> Result<String, Problem> {
        wait_for(beat::every(VISIBILITY), self.context.stop, "the association that exists already", async || {
            let found = endpoint::find_associations(&self.services.ec2, endpoint).await?;
            let alive = found.into_iter().find(|association| association.subnet == subnet && association.is_alive());
            Ok(alive.map(|association| association.id))
        })
        .await
    }
}

fn refuse_withdrawn(name: &str) -> Problem {
    Problem::failed(format!("the association of {name} was ended by someone else while it was coming"))
        .fix("see vpn-setup status; if it is to be there, run the same command again")
}

fn refuse_failed(name: &str, association: &Association) -> Problem {
    let why = association.message.as_deref().unwrap_or("EC2 gives no reason");
    Problem::failed(format!("the association of {name} ({}) failed", association.id)).because(why).fix(
        "run the same command again: it removes the failed association and makes a new one; vpn-setup down removes all",
    )
}

/// Adds a way on where the problem has none.
fn go_on(problem: Problem, fix: &str) -> Problem {
    if problem.remedy().is_some() { problem } else { problem.fix(fix) }
}
