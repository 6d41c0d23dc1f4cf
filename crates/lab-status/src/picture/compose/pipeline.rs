//! Buckets, queue and function, and what joins them: each arrow stands as what makes it true. Pure.

use lab_common::Images;
use lab_picture::{Part, Pipeline, Presence};
use lab_plan::Resource;

use super::{Facts, IMAGE_QUEUE, Stage, text, to_part};
use crate::inventory::Change;

impl Facts<'_> {
    pub(super) fn pipeline(&self, stage: &mut Stage) -> Option<Pipeline> {
        let images = self.lab.images.as_ref()?;
        let queue = self.queue(images, stage);
        Some(Pipeline {
            input: self.bucket(&images.input, stage),
            trigger: self.trigger(images),
            takes: if queue.is_some() { self.mapping(images) } else { Part::default() },
            queue,
            function: self.function(images, stage),
            writes: self.writing(images),
            output: self.bucket(&images.output, stage),
        })
    }

    fn bucket(&self, name: &str, stage: &mut Stage) -> Part {
        let found = self.find("bucket", name);
        stage.draw(found);
        let mut part = self.part(&["bucket"], found, name, &[]);
        if let Some(empty) = found.and_then(|one| one.more.get("empty")?.as_bool()) {
            part = part.line(if empty { "empty" } else { "holds objects" });
        }
        part.state = None;
        part
    }

    /// What is so of a function that is there.
    fn function(&self, images: &Images, stage: &mut Stage) -> Part {
        let found = self.find("function", &images.function);
        stage.draw(found);
        let is_attached = |change: &&Change| match change.kind {
            "function-event-invoke-config" | "function-concurrency" | "log-group" => true,
            "queue" => !images.queue && change.name == self.names.dead_letters(),
            _ => false,
        };
        let attached: Vec<&Change> = self.changes_of("pipeline-up").filter(is_attached).collect();
        let mut part = self.part(&["function"], found, &images.function, &attached);
        part.id = None;
        let number = |field: &str| found?.more.get(field)?.as_i64();
        match (found, number("memory_mb").zip(number("timeout_s"))) {
            (_, Some((memory, seconds))) => part.line(format!("{memory} MB, {seconds} s")),
            (Some(_), None) => part,
            (None, None) => part.line(format!("{} MB, {} s", images.memory_mb, images.timeout_s)),
        }
    }

    /// What runs the function: the bucket's notification, and the permission to invoke.
    fn trigger(&self, images: &Images) -> Part {
        let found = self.find("bucket-notification", &images.input);
        let permission: Vec<&Change> =
            self.changes_of("pipeline-up").filter(|change| change.kind == "function-permission").collect();
        let (presence, why) = self.judge(&["bucket-notification"], &images.input, found, &permission);
        let differs = found.is_some_and(|one| one.state != "available") && presence == Presence::There;
        let said = |field: &str| found.and_then(|one| text(one, field));
        let prefix = said("prefix").unwrap_or_else(|| images.prefix.clone());
        let suffix = said("suffix").unwrap_or_else(|| images.suffix.clone());
        let which = match (prefix.as_str(), suffix.as_str()) {
            ("", "") => "every key".to_owned(),
            (prefix, suffix) => format!("keys {prefix}*{suffix}"),
        };
        let events = said("events").unwrap_or_else(|| "s3:ObjectCreated:*".to_owned());
        let presence = if differs { Presence::Drifted } else { presence };
        Part { presence, why, ..Part::new(events).line(which) }
    }

    /// Where messages wait between the bucket and the function.
    fn queue(&self, images: &Images, stage: &mut Stage) -> Option<Part> {
        let role_of = |one: &&Resource| text(one, "role").as_deref() == Some(IMAGE_QUEUE);
        let queues: Vec<_> = self.all().filter(|one| one.kind == "queue").collect();
        let found = queues.iter().copied().find(role_of);
        if found.is_none() && !images.queue {
            return None;
        }
        let letters = self.changes(&["queue"], &self.names.dead_letters());
        let mut part = self.part(&["queue"], found, &self.names.image_queue(), &letters);
        if found.is_some_and(|_| !images.queue) && part.presence == Presence::There {
            part.presence = Presence::Unexpected;
        }
        part.id = None;
        stage.draw(found);
        for other in queues.iter().filter(|one| found.is_none_or(|queue| one.id != queue.id)) {
            stage.draw([*other]);
            part = part.line(format!("dead letters: {}", to_part(other).name));
        }
        Some(part)
    }

    /// How the function takes messages from the queue.
    fn mapping(&self, images: &Images) -> Part {
        const MAPPING: &str = "event-source-mapping";
        let found = self.find(MAPPING, &images.function);
        let (presence, why) = self.judge(&[MAPPING], &images.function, found, &[]);
        Part { presence, why, ..Part::default() }
    }

    /// How the function writes to the output bucket: by its role, and where its variables tell it to.
    fn writing(&self, images: &Images) -> Part {
        if self.find("function", &images.function).is_none() {
            return Part::default();
        }
        let changes = || self.changes_of("pipeline-up");
        let role: Vec<&Change> =
            changes().filter(|change| change.kind == "role" && change.name == self.names.function_role()).collect();
        let (presence, why) = self.judge_changes("function", &role);
        let is_elsewhere = |change: &Change| {
            let mut words = change.detail.split(", ");
            change.kind == "function"
                && change.name == images.function
                && words.any(|word| word.starts_with("OUTPUT_BUCKET ") || word.starts_with("role "))
        };
        let elsewhere = presence == Presence::There && changes().any(is_elsewhere);
        Part { presence: if elsewhere { self.differing("function") } else { presence }, why, ..Part::default() }
    }
}
