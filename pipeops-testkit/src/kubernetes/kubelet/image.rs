//! Pulls a container's image.

use tokio::time::Instant;

use super::container::{Container, FIRST_WAIT, LONGEST_WAIT, MOMENT, Stage, Surroundings, Then};
use super::pull::{self, PullDone};
use crate::kubernetes::behaviour::{self, Outcome, parts};
use crate::kubernetes::names;
use crate::kubernetes::recorder::Kind;
use crate::kubernetes::validate::is_image_reference;
use crate::kubernetes::value::text;
use crate::registry::Source;

impl Container {
    /// Looks for the image, and pulls it where it has to be pulled.
    pub(super) fn begin(&mut self, around: &mut Surroundings<'_>) {
        let image = self.image.clone();
        if let Err(why) = is_image_reference(&image) {
            let message = format!(
                "Failed to apply default image tag {image:?}: couldn't parse image name {image:?}: {why}"
            );
            self.say(around, Kind::Warning, "InspectFailed", &message);
            return self.fail(around, "InvalidImageName", "InvalidImageName", message);
        }
        let present = around.images.contains(&image);
        match text(&self.spec, "/imagePullPolicy") {
            "Never" if !present => {
                let message =
                    format!("Container image {image:?} is not present with pull policy of Never");
                self.say(around, Kind::Warning, "ErrImageNeverPull", &message);
                self.fail(around, "ErrImageNeverPull", "ErrImageNeverPull", message);
            }
            "Never" | "IfNotPresent" if present => {
                let message = format!(
                    "Container image {image:?} already present on machine and can be accessed by the pod"
                );
                self.say(around, Kind::Normal, "Pulled", &message);
                self.create(around);
            }
            _ => self.pull(around),
        }
    }

    pub(super) fn pull(&mut self, around: &mut Surroundings<'_>) {
        let message = format!("Pulling image {:?}", self.image);
        self.say(around, Kind::Normal, "Pulling", &message);
        let behaviour = self.behaviour(around);
        let scripted = matches!(
            behaviour.outcome_after(self.failures),
            Outcome::PullFails(_)
        );
        let registry = around.shared.options.registry.as_ref();
        let registry = registry.filter(|known| !scripted && known.host == parts(&self.image).0);
        if let Some(registry) = registry {
            self.stage = Stage::Pulling { until: None };
            self.answer = None;
            self.ask(around, registry.clone());
        } else {
            self.stage = Stage::Pulling {
                until: Some(Instant::now() + behaviour::MOMENT),
            };
        }
    }

    /// Asks the image's registry, and sends the answer to the controllers.
    fn ask(&self, around: &mut Surroundings<'_>, registry: Source) {
        let login = around
            .shared
            .read(|store| pull::login(store, around.pod, &registry.host));
        let image = self.image.clone();
        let answers = around.answers.clone();
        let mut done = PullDone {
            namespace: text(around.pod, "/metadata/namespace").to_owned(),
            pod: text(around.pod, "/metadata/name").to_owned(),
            uid: around.uid.to_owned(),
            container: self.name.clone(),
            result: Ok(()),
        };
        while around.asking.try_join_next().is_some() {}
        around.asking.spawn(async move {
            done.result = pull::check(&registry, &image, login.as_deref()).await;
            // Without a cluster there is no receiver any more.
            let _ = answers.send(done);
        });
    }

    pub(super) fn finish_pull(&mut self, around: &mut Surroundings<'_>) {
        let result = match (self.answer.take(), self.outcome(around)) {
            (Some(answer), _) => answer,
            (None, Outcome::PullFails(why)) => Err(why.message(&self.image)),
            (None, _) => Ok(()),
        };
        let image = self.image.clone();
        match result {
            Ok(()) => {
                around.images.insert(image.clone());
                self.pull_wait = FIRST_WAIT;
                let size = 1_000_000 + names::fnv(image.as_bytes()) % 100_000_000;
                let message = format!(
                    "Successfully pulled image {image:?} in 5ms (5ms including waiting). Image size: {size} bytes."
                );
                self.say(around, Kind::Normal, "Pulled", &message);
                self.create(around);
            }
            Err(why) => {
                self.failures += 1;
                let message = format!("Failed to pull image {image:?}: {why}");
                self.say(around, Kind::Warning, "Failed", &message);
                self.say(around, Kind::Warning, "Failed", "Error: ErrImagePull");
                self.pull_error = format!("ErrImagePull: {why}");
                self.stage = Stage::Failed {
                    reason: "ErrImagePull",
                    message: why,
                    until: Instant::now() + around.shared.options.real(MOMENT),
                    then: Then::BackOffPull,
                };
            }
        }
    }

    pub(super) fn back_off_pull(&mut self, around: &mut Surroundings<'_>) {
        let message = format!("Back-off pulling image {:?}", self.image);
        self.say(around, Kind::Normal, "BackOff", &message);
        self.say(around, Kind::Warning, "Failed", "Error: ImagePullBackOff");
        self.stage = Stage::Failed {
            reason: "ImagePullBackOff",
            message: format!("{message}: {}", self.pull_error),
            until: Instant::now() + around.shared.options.real(self.pull_wait),
            then: Then::Start,
        };
        self.pull_wait = (self.pull_wait * 2).min(LONGEST_WAIT);
    }
}
