//! What the lab wants of this concern: `Lab` → desired. Pure.

use std::collections::BTreeMap;

use lab_common::{Account, Arch, Caller, Lab, Names, Tags};
use lab_plan::Problem;
use serde::Serialize;

/// How long the function's log is kept, in days. Long enough to look into a failed run, too short to cost anything.
pub(crate) const LOG_DAYS: i32 = 7;
/// The role that a Learner Lab has made for us.
pub(crate) const ACADEMY_ROLE: &str = "LabRole";

/// One of the two buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Side {
    /// Where images are uploaded.
    Input,
    /// Where results are written.
    Output,
}

impl Side {
    /// Both, in the order in which they are shown.
    pub(crate) const BOTH: [Self; 2] = [Self::Input, Self::Output];

    /// The role of its bucket.
    pub(crate) const fn role(self) -> &'static str {
        match self {
            Self::Input => "bucket input",
            Self::Output => "bucket output",
        }
    }
}

/// Something for each of the two buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Both<T> {
    /// The input bucket's.
    pub(crate) input: T,
    /// The output bucket's.
    pub(crate) output: T,
}

impl<T> Both<T> {
    pub(crate) fn get(&self, side: Side) -> &T {
        match side {
            Side::Input => &self.input,
            Side::Output => &self.output,
        }
    }
}

/// One of the two queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum QueueKind {
    /// What S3 tells of new objects, for the function.
    Images,
    /// What the function could not do.
    DeadLetters,
}

impl QueueKind {
    /// Both, in the order in which they are made.
    pub(crate) const BOTH: [Self; 2] = [Self::DeadLetters, Self::Images];

    /// The role of the queue.
    pub(crate) const fn role(self) -> &'static str {
        match self {
            Self::Images => "queue images",
            Self::DeadLetters => "queue dead-letters",
        }
    }
}

/// How events reach the function, and where those end that it could not do.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    /// Whether S3 tells the queue of images, and that the function.
    pub(crate) queue: bool,
    /// Whether there is a queue of dead letters.
    pub(crate) dead_letters: bool,
    /// How many of the function may work at once.
    pub(crate) concurrency: Option<i32>,
    images_name: String,
    dead_letters_name: String,
}

impl Delivery {
    /// Whether this queue is wanted.
    pub(crate) const fn wants(&self, kind: QueueKind) -> bool {
        match kind {
            QueueKind::Images => self.queue,
            QueueKind::DeadLetters => self.dead_letters,
        }
    }

    /// The queue's name, wanted or not.
    pub(crate) fn name(&self, kind: QueueKind) -> &str {
        match kind {
            QueueKind::Images => &self.images_name,
            QueueKind::DeadLetters => &self.dead_letters_name,
        }
    }
}

/// Which objects trigger the function. Empty texts let all pass.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Filter {
    /// What a key begins with.
    pub prefix: String,
    /// What a key ends with.
    pub suffix: String,
}

/// The function as lab.toml configures it; its code is `cargo lambda deploy`'s business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WantedFunction {
    pub(crate) name: String,
    pub(crate) memory_mb: i32,
    pub(crate) timeout_s: i32,
    /// Variables it must have. Of those that lab.toml decides ([`lab_common::Images::variables`]) it must have no others.
    pub(crate) environment: BTreeMap<&'static str, String>,
    pub(crate) arch: Arch,
}

/// Everything that lab.toml wants of the pipeline.
#[derive(Debug, Clone)]
pub(crate) struct Want {
    pub(crate) region: String,
    pub(crate) buckets: Both<String>,
    pub(crate) function: WantedFunction,
    pub(crate) filter: Filter,
    pub(crate) delivery: Delivery,
    /// The name of the function's role in an account of one's own.
    pub(crate) role: String,
    /// The name of the role of backfills, in such an account.
    pub(crate) batch_role: String,
    pub(crate) log_group: String,
    /// Whether the function copies objects as they are, tags included.
    pub(crate) copies: bool,
    pub(crate) account: Account,
    pub(crate) tags: Tags,
}

impl Want {
    /// # Errors
    /// When the lab has no pipeline, or when its function would trigger itself.
    pub(crate) fn new(lab: &Lab, region: &str) -> Result<Self, Problem> {
        let Some(images) = &lab.images else {
            return Err(Problem::usage(format!("the lab `{}` has no image pipeline", lab.name))
                .fix("add an [images] section with input, output and function to its lab.toml (see the README)"));
        };
        // lab.toml was checked for this too. A lab made in any other way must not cost a fortune either.
        if images.input == images.output {
            return Err(Problem::usage(format!("images.input and images.output are both `{}`", images.input))
                .because("the function would trigger itself, again and again")
                .fix("write to a bucket of its own"));
        }
        let names = Names::new(lab);
        Ok(Self {
            region: region.to_owned(),
            buckets: Both { input: images.input.clone(), output: images.output.clone() },
            function: WantedFunction {
                name: images.function.clone(),
                memory_mb: images.memory_mb,
                timeout_s: images.timeout_s,
                environment: images.environment(),
                arch: images.arch,
            },
            filter: Filter { prefix: images.prefix.clone(), suffix: images.suffix.clone() },
            delivery: Delivery {
                queue: images.queue,
                dead_letters: images.dead_letters,
                concurrency: images.concurrency,
                images_name: names.image_queue(),
                dead_letters_name: names.dead_letters(),
            },
            role: names.function_role(),
            batch_role: names.batch_role(),
            log_group: Names::function_log_group(&images.function),
            copies: images.mode == lab_common::Mode::Copy,
            account: lab.account,
            tags: Tags::new(lab),
        })
    }

    /// The ARN of the bucket whose new objects run the function.
    pub(crate) fn input_arn(&self, place: &Place) -> String {
        place.bucket_arn(&self.buckets.input)
    }

    /// The tags of a bucket.
    pub(crate) fn bucket_tags(&self, side: Side) -> BTreeMap<String, String> {
        self.tags_of(side.role(), self.buckets.get(side))
    }

    /// The ARN of a queue, wanted or not.
    pub(crate) fn queue_arn(&self, place: &Place, kind: QueueKind) -> String {
        let Place { partition, account, .. } = place;
        format!("arn:{partition}:sqs:{}:{account}:{}", self.region, self.delivery.name(kind))
    }

    /// The function's ARN, there or not.
    pub(crate) fn function_arn(&self, place: &Place) -> String {
        let Place { partition, account, .. } = place;
        format!("arn:{partition}:lambda:{}:{account}:function:{}", self.region, self.function.name)
    }

    /// The tags of a queue.
    pub(crate) fn queue_tags(&self, kind: QueueKind) -> BTreeMap<String, String> {
        self.tags_of(kind.role(), self.delivery.name(kind))
    }

    /// The tags of the mapping from the queue to the function.
    pub(crate) fn mapping_tags(&self) -> BTreeMap<String, String> {
        self.tags_of("event-source-mapping", &self.function.name)
    }

    /// The tags of the function's role.
    pub(crate) fn role_tags(&self) -> BTreeMap<String, String> {
        self.tags_of("role", &self.role)
    }

    /// The ARN of the role of backfills.
    pub(crate) fn batch_role_arn(&self, place: &Place) -> String {
        format!("arn:{}:iam::{}:role/{}", place.partition, place.account, self.batch_role)
    }

    /// The tags of the role of backfills.
    pub(crate) fn batch_role_tags(&self) -> BTreeMap<String, String> {
        self.tags_of("role batch", &self.batch_role)
    }

    /// The tags of the function's log group.
    pub(crate) fn log_group_tags(&self) -> BTreeMap<String, String> {
        self.tags_of("log-group", &self.log_group)
    }

    /// The tags of the function.
    pub(crate) fn function_tags(&self) -> BTreeMap<String, String> {
        self.tags_of("function", &self.function.name)
    }

    fn tags_of(&self, role: &str, name: &str) -> BTreeMap<String, String> {
        self.tags.of(role, name).map(|(key, value)| (key.to_owned(), value)).into()
    }
}

/// Whose account it is and which rules it has: what STS adds to lab.toml.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// `aws`, or the partition of China or the US government.
    pub(crate) partition: String,
    /// The account's 12 digits.
    pub(crate) account: String,
    /// Whether it is a Learner Lab, where no role can be made.
    pub(crate) academy: bool,
}

impl Place {
    pub(crate) fn new(want: &Want, caller: &Caller) -> Self {
        let academy = want.account.is_academy(Some(caller));
        Self { partition: caller.partition().to_owned(), account: caller.account.clone(), academy }
    }

    /// The ARN of the role that the function assumes.
    pub(crate) fn role_arn(&self, want: &Want) -> String {
        let name = if self.academy { ACADEMY_ROLE } else { &want.role };
        format!("arn:{}:iam::{}:role/{name}", self.partition, self.account)
    }

    /// A bucket's ARN.
    pub(crate) fn bucket_arn(&self, bucket: &str) -> String {
        format!("arn:{}:s3:::{bucket}", self.partition)
    }
}

/// A lab with the pipeline of HOL 02, for tests.
#[cfg(test)]
pub(crate) fn sample(change: impl FnOnce(&mut Lab)) -> (Want, Place) {
    let overrides = lab_common::Overrides { owner: Some("ada".into()), region: None };
    let mut lab = lab_common::read_lab("hol02", lab_common::HOL02, &overrides).unwrap();
    change(&mut lab);
    let want = Want::new(&lab, "us-east-1").unwrap();
    let caller = Caller::new(Some("123456789012"), Some("arn:aws:iam::123456789012:user/ada")).unwrap();
    let place = Place::new(&want, &caller);
    (want, place)
}

#[cfg(test)]
mod tests {
    use lab_common::{HOL02, Overrides, read_lab};
    use lab_plan::Exit;

    use super::*;

    fn hol02() -> Lab {
        read_lab("hol02", HOL02, &Overrides { owner: Some("ada".into()), region: None }).unwrap()
    }

    #[test]
    fn the_names_are_those_of_the_seed() {
        let (want, place) = sample(|_| ());
        assert_eq!(want.buckets.input, "lab-input-bucket-ada");
        assert_eq!(want.buckets.output, "lab-output-bucket-ada");
        assert_eq!(want.function.name, "lab-lambda-function");
        assert_eq!(want.log_group, "/aws/lambda/lab-lambda-function");
        assert_eq!(place.role_arn(&want), "arn:aws:iam::123456789012:role/lab-lambda-role-ada");
    }

    #[test]
    fn a_lab_without_images_is_a_usage_error_that_names_the_section() {
        let mut lab = hol02();
        lab.images = None;
        let problem = Want::new(&lab, "us-east-1").unwrap_err();
        assert_eq!(problem.exit(), Exit::Usage);
        assert!(problem.to_string().contains("[images]"), "{problem}");
    }

    #[test]
    fn a_function_that_would_trigger_itself_is_refused() {
        let mut lab = hol02();
        let images = lab.images.as_mut().unwrap();
        images.output.clone_from(&images.input);
        let problem = Want::new(&lab, "us-east-1").unwrap_err();
        assert_eq!(problem.exit(), Exit::Usage);
        assert!(problem.to_string().contains("trigger itself"), "{problem}");
    }

    #[test]
    fn auto_looks_at_the_caller_and_the_other_words_do_not() {
        let student = "arn:aws:sts::123456789012:assumed-role/voclabs/user1=ada";
        let caller = Caller::new(Some("123456789012"), Some(student)).unwrap();
        let role = |account| {
            let mut lab = hol02();
            lab.account = account;
            let want = Want::new(&lab, "us-east-1").unwrap();
            Place::new(&want, &caller).role_arn(&want)
        };
        assert_eq!(role(Account::Auto), "arn:aws:iam::123456789012:role/LabRole");
        assert_eq!(role(Account::Academy), "arn:aws:iam::123456789012:role/LabRole");
        assert_eq!(role(Account::Own), "arn:aws:iam::123456789012:role/lab-lambda-role-ada");
    }
}
