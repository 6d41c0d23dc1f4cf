//! The Lambda runtime's side of image-processor: settings, logs, client, loop.

use std::process::ExitCode;

use image_processor::{Call, Processor, Settings, Store, connect};
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;
use tracing::level_filters::LevelFilter;

fn main() -> ExitCode {
    // With arguments it is a command for files; Lambda gives none.
    if std::env::args_os().len() > 1 {
        return image_command::run();
    }
    start_logging();
    let settings = match Settings::read(|name| std::env::var(name).ok()) {
        Ok(settings) => settings,
        Err(error) => {
            tracing::error!(%error, "the function cannot start");
            return ExitCode::FAILURE;
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map(|runtime| runtime.block_on(serve(settings))) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            tracing::error!(%error, "the Lambda runtime ended");
            ExitCode::FAILURE
        }
        Err(error) => {
            tracing::error!(%error, "no async runtime");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "stdout is the function's log, and Lambda reads all of it")]
async fn serve(settings: Settings) -> Result<(), lambda_runtime::Error> {
    let processor = Processor::new(settings, Store::new(connect(|name| std::env::var(name).ok())));
    let processor = &processor;
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| {
        // Boxed, or the S3 client's futures nest deeper in the runtime's than the compiler follows.
        Box::pin(async move {
            let deadline = Some(event.context.deadline());
            let call = Call { request_id: event.context.request_id, deadline };
            let handled = processor.handle(&event.payload, &call).await;
            for line in handled.metrics {
                println!("{line}");
            }
            handled.answer
        })
    }))
    .await
}

/// JSON lines on stdout, which Lambda takes to `CloudWatch`. The level is Lambda's own setting, by default INFO.
fn start_logging() {
    let level =
        std::env::var("AWS_LAMBDA_LOG_LEVEL").ok().and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::INFO);
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_target(false)
        .with_max_level(level)
        .init();
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!(detail = %panic, "a panic");
    }));
}
