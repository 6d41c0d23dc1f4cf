//! `ClientToken`: the answer to a creating call is kept, and given again to the same call with the same token.

use std::collections::HashMap;
use std::sync::Arc;

use crate::call::{Answer, Call};
use crate::faults::answers::ServiceError;
use crate::form::Form;
use crate::sim::Sim;
use crate::xml::{Element, edit_answer};

/// What identifies a creating call for its caller.
type TokenKey = (String, String, String);

/// The calls that carried a token.
#[derive(Debug, Default)]
pub(crate) struct TokenBook {
    // Held while moto is asked: two calls with one token at the same time make one resource.
    answers: tokio::sync::Mutex<HashMap<TokenKey, Stored>>,
}

#[derive(Debug)]
struct Stored {
    parameters: Form,
    answer: Answer,
}

impl TokenBook {
    /// Forgets all tokens.
    pub(crate) async fn reset(&self) {
        self.answers.lock().await.clear();
    }
}

/// Whether a call is one that a token makes safe to repeat.
pub(crate) fn has_token(call: &Call) -> bool {
    let creates =
        ["Create", "Run", "Allocate", "Associate", "Authorize"].iter().any(|verb| call.class.action.starts_with(verb));
    creates && call.param("ClientToken").is_some_and(|token| !token.is_empty())
}

/// Answers a call with a token: as before when it came before, else by `act`.
pub(crate) async fn answer_with_token(
    sim: &Arc<Sim>,
    call: &Call,
    act: impl Future<Output = Result<Answer, ServiceError>>,
) -> Result<Answer, ServiceError> {
    let token = call.param("ClientToken").unwrap_or_default().to_owned();
    let key = (call.class.region.clone(), call.class.action.clone(), token.clone());
    let mut answers = sim.ec2.tokens.answers.lock().await;
    if let Some(stored) = answers.get(&key) {
        if stored.parameters != parameters_of(call) {
            return Err(ServiceError::new(
                400,
                "IdempotentParameterMismatch",
                format!(
                    "Arguments on this idempotent request are inconsistent with arguments used in previous request(s) with \
                         the client token {token}."
                ),
            ));
        }
        if call.class.action == "RunInstances" && all_ended(sim, &stored.answer) {
            return Err(ServiceError::new(
                400,
                "IdempotentInstanceTerminated",
                format!("The instances launched with the client token {token} have been terminated."),
            ));
        }
        return Ok(stored.answer.clone());
    }
    let answer = act.await?;
    let answer = if answer.status().is_success() { show_token(answer, &token) } else { answer };
    if answer.status().is_success() {
        answers.insert(key, Stored { parameters: parameters_of(call), answer: answer.clone() });
    }
    Ok(answer)
}

/// All parameters, in one order.
fn parameters_of(call: &Call) -> Form {
    let mut parameters = call.form.clone();
    parameters.0.sort();
    parameters
}

/// AWS names the token in most answers; moto does so for instances only.
fn show_token(answer: Answer, token: &str) -> Answer {
    edit_answer(answer, |root| {
        let shows_none = root.child("instancesSet").is_some() || root.name.contains("ClientVpn");
        if !shows_none && root.child("clientToken").is_none() {
            root.push(Element::with_text("clientToken", token));
        }
    })
}

fn all_ended(sim: &Sim, answer: &Answer) -> bool {
    let Some(root) = Element::parse(answer.body()) else { return false };
    let ids: Vec<String> = super::late::created_ids("RunInstances", &root);
    !ids.is_empty() && ids.iter().all(|id| sim.ec2.has_ended(id))
}
