//! A Lambda host: runs the function's program and hands it events through the Runtime API.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::http::{Reply, Request, serve};
use super::s3::S3;

const PATIENCE: Duration = Duration::from_mins(2);

#[derive(Debug, Default)]
struct Mail {
    asked: bool,
    events: VecDeque<(String, String)>,
    /// By request: whether it is an error, and the document.
    answers: Vec<(String, bool, Value)>,
    count: u64,
}

#[derive(Debug, Default)]
struct Post {
    mail: Mutex<Mail>,
    changed: Condvar,
}

impl Post {
    fn wait<T>(&self, mut look: impl FnMut(&mut Mail) -> Option<T>) -> Option<T> {
        let mut mail = self.mail.lock().unwrap();
        let start = std::time::Instant::now();
        loop {
            if let Some(found) = look(&mut mail) {
                return Some(found);
            }
            let left = PATIENCE.checked_sub(start.elapsed())?;
            mail = self.changed.wait_timeout(mail, left).unwrap().0;
        }
    }

    fn answer(&self, request: &Request, seconds: u64) -> Reply {
        if request.method == "GET" {
            self.mail.lock().unwrap().asked = true;
            self.changed.notify_all();
            // The function waits for as long as the test takes.
            let Some((id, event)) = self.wait(|mail| mail.events.pop_front()) else { return Reply::new(500, "") };
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            let deadline = (now + Duration::from_secs(seconds)).as_millis();
            return Reply::new(200, event)
                .with("Lambda-Runtime-Aws-Request-Id", id)
                .with("Lambda-Runtime-Deadline-Ms", deadline.to_string())
                .with("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:123456789012:function:f")
                .with("Content-Type", "application/json");
        }
        let mut parts = request.path.rsplit('/');
        let failed = parts.next() == Some("error");
        let id = parts.next().unwrap_or_default().to_owned();
        let document = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
        self.mail.lock().unwrap().answers.push((id, failed, document));
        self.changed.notify_all();
        Reply::new(202, "")
    }
}

/// One running function. Dropping it ends it.
#[derive(Debug)]
pub struct Function {
    child: Child,
    post: Arc<Post>,
    log: Arc<Mutex<Vec<String>>>,
}

impl Function {
    /// Starts the function with these variables, and `seconds` for each invocation.
    pub fn start(s3: &S3, seconds: u64, variables: &[(&str, &str)]) -> Self {
        Self::run(Path::new(env!("CARGO_BIN_EXE_image-processor")), s3, seconds, variables)
    }

    /// The same with another build of it.
    pub fn run(program: &Path, s3: &S3, seconds: u64, variables: &[(&str, &str)]) -> Self {
        let post = Arc::new(Post::default());
        let own = Arc::clone(&post);
        let api = serve(move |request| own.answer(&request, seconds));
        let mut child = Command::new(program)
            .env_clear()
            .envs([
                ("AWS_LAMBDA_RUNTIME_API", api.to_string().as_str()),
                ("AWS_LAMBDA_FUNCTION_NAME", "lab-lambda-function"),
                ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
                ("AWS_REGION", "us-east-1"),
                ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
                ("AWS_SECRET_ACCESS_KEY", "secret"),
                ("AWS_SESSION_TOKEN", "token"),
                ("AWS_ENDPOINT_URL_S3", format!("http://{}", s3.address).as_str()),
                ("OUTPUT_BUCKET", "out"),
            ])
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (lines, stdout) = (Arc::clone(&log), child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                lines.lock().unwrap().push(line);
            }
        });
        Self { child, post, log }
    }

    /// Hands the function a payload and waits for its answer; an error is what it says of itself.
    #[track_caller]
    pub fn invoke(&self, payload: &str) -> Result<Value, Value> {
        let id = {
            let mut mail = self.post.mail.lock().unwrap();
            mail.count += 1;
            let id = format!("request-{}", mail.count);
            mail.events.push_back((id.clone(), payload.to_owned()));
            id
        };
        self.post.changed.notify_all();
        let found = self.post.wait(|mail| {
            let at = mail.answers.iter().position(|(answered, ..)| *answered == id)?;
            Some(mail.answers.swap_remove(at))
        });
        let (_, failed, document) = found.expect("the function answers");
        if failed { Err(document) } else { Ok(document) }
    }

    /// Waits until the function asks for its first event.
    pub fn wait_until_ready(&self) {
        self.post.wait(|mail| mail.asked.then_some(())).expect("the function asks for an event");
    }

    /// Every line it has logged, each of which must be JSON.
    pub fn log(&self) -> Vec<Value> {
        let lines = self.log.lock().unwrap();
        lines.iter().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect()
    }

    /// Whether it still runs.
    pub fn is_up(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
