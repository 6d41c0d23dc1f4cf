use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::operation::change_message_visibility_batch::ChangeMessageVisibilityBatchOutput;
use aws_sdk_sqs::operation::list_message_move_tasks::ListMessageMoveTasksOutput;
use aws_sdk_sqs::operation::start_message_move_task::StartMessageMoveTaskOutput;
use aws_sdk_sqs::types::builders::BatchResultErrorEntryBuilder;
use aws_smithy_mocks::{Rule, mock};
use lab_plan::Progress;

use super::*;
use crate::testing::{refuse_json, sqs_clients};

/// Moves one letter back against these answers; what of it came of it.
async fn move_one(rules: &[&Rule]) -> (Result<(), Problem>, u64) {
    let clients = sqs_clients(rules);
    let letters = Letters {
        clients: &clients,
        name: "letters",
        url: "https://sqs/letters",
        arn: "arn:aws:sqs:us-east-1:123456789012:letters".into(),
        source: Some("https://sqs/queue"),
        to_source: false,
        function: "function",
    };
    let mut redriven = Redriven::default();
    let line = Progress::silent().begin("redrive", "letters");
    let letter = Letter::read("id".into(), "receipt".into(), "{}");
    let answer = letters.move_back(vec![letter], &mut redriven, &Stop::new(), &line).await;
    (answer, redriven.moved)
}

/// What SQS answers to the wish to see the letter again.
fn answer_visibility(failed: Option<(&'static str, &'static str)>) -> Rule {
    mock!(Client::change_message_visibility_batch).then_output(move || {
        let entry = |(code, message)| {
            BatchResultErrorEntryBuilder::default().id("0").code(code).message(message).sender_fault(false).build()
        };
        ChangeMessageVisibilityBatchOutput::builder()
            .set_successful(Some(vec![]))
            .set_failed(Some(failed.map(entry).into_iter().map(Result::unwrap).collect()))
            .build()
            .unwrap()
    })
}

fn start() -> Rule {
    mock!(Client::start_message_move_task).then_output(|| StartMessageMoveTaskOutput::builder().build())
}

fn task(status: &str, started: i64, moved: i64) -> ListMessageMoveTasksOutput {
    let task = ListMessageMoveTasksResultEntry::builder().status(status).started_timestamp(started);
    ListMessageMoveTasksOutput::builder().results(task.approximate_number_of_messages_moved(moved).build()).build()
}

/// The newest task, look after look; the last one stays.
fn show_tasks(looks: &'static [(&'static str, i64, i64)]) -> Rule {
    let look = AtomicUsize::new(0);
    mock!(Client::list_message_move_tasks).then_compute_output(move |_| {
        let (status, started, moved) = looks[look.fetch_add(1, Ordering::Relaxed).min(looks.len() - 1)];
        task(status, started, moved)
    })
}

#[tokio::test(start_paused = true)]
async fn an_older_task_does_not_end_the_wait() {
    let looks = [("COMPLETED", 100, 7), ("COMPLETED", 100, 7), ("RUNNING", 200, 0), ("COMPLETED", 200, 1)];
    let list = show_tasks(Box::leak(Box::new(looks)));
    let (answer, moved) = move_one(&[&answer_visibility(None), &list, &start()]).await;
    assert_eq!((answer, moved, list.num_calls()), (Ok(()), 1, 4));
}

#[tokio::test(start_paused = true)]
async fn somebody_else_s_task_is_watched_to_its_end() {
    let refused = mock!(Client::start_message_move_task).then_http_response(|| {
        let message = "There is already a task running. Only one active task is allowed for a source queue arn.";
        refuse_json(400, "AWS.SimpleQueueService.UnsupportedOperation", message)
    });
    for looks in [
        // One that was running before, and one that began just before ours.
        &[("RUNNING", 100, 0), ("COMPLETED", 100, 3)][..],
        &[("COMPLETED", 50, 9), ("RUNNING", 100, 1), ("COMPLETED", 100, 3)],
    ] {
        let list = show_tasks(looks);
        let (answer, moved) = move_one(&[&answer_visibility(None), &list, &refused]).await;
        assert_eq!((answer, moved), (Ok(()), 3), "{looks:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn letters_that_stay_hidden_are_told_and_those_that_are_visible_already_are_moved() {
    let (list, start) = (show_tasks(&[("COMPLETED", 100, 7), ("COMPLETED", 200, 1)]), start());
    let hidden = answer_visibility(Some(("InternalError", "try again")));
    let (answer, moved) = move_one(&[&hidden, &list, &start]).await;
    let text = answer.unwrap_err().to_string();
    assert!(text.contains("hides 1 letter of letters") && text.contains("InternalError: try again"), "{text}");
    assert_eq!((moved, start.num_calls()), (0, 0), "SQS would not see it");

    let message = "Value r for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for \
                   visibility timeout change.";
    let shown = answer_visibility(Some(("InvalidParameterValue", message)));
    assert_eq!(move_one(&[&shown, &list, &start]).await, (Ok(()), 1));
}
