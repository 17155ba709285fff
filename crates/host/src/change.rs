//! One change and its undoing, each announced in the journal before it is made.

use v6kit_net::Prefix;

use crate::error::HostError;
use crate::event::Event;
use crate::journal::Journal;
use crate::resource::{Resource, Want};
use crate::state::{HoldKey, Phase};
use crate::system::{ResourceError, System};
use crate::value::Value;

/// The host and the journal of what is done to it.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) system: System,
    pub(crate) journal: Journal,
}

/// Why a change was not made.
#[derive(Debug)]
pub(crate) enum ChangeError {
    /// It could not be announced or confirmed.
    Journal(HostError),
    /// It could not be made.
    Resource(ResourceError),
}

/// What became of letting go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Release {
    /// It was put back.
    Restored { before: Value, after: Value },
    /// It was as it should be.
    AlreadyGone,
    /// Others need it as it is.
    Kept { value: Value },
    /// Somebody else changed it; it is left alone.
    ChangedByOther { found: Value, original: Value },
}

impl From<ChangeError> for HostError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Journal(error) => error,
            ChangeError::Resource(error) => error.into(),
        }
    }
}

impl Ledger {
    /// Makes `resource` what `prefix` wants together with all others who want something of it, and
    /// returns what is read back.
    pub(crate) async fn change(&mut self, key: &HoldKey, want: &Want) -> Result<Value, ChangeError> {
        let HoldKey {
            resource,
            prefix,
            step,
        } = key;
        let current = self.system.read(resource).await.map_err(ChangeError::Resource)?;
        let original = self.original(resource, &current);
        let expect = {
            let mut wants = self.others(key);
            wants.push(want);
            resource.target(&original, &wants)
        };
        self.append(Event::Begin {
            prefix: *prefix,
            step: step.clone(),
            resource: resource.clone(),
            want: want.clone(),
            original,
            expect: expect.clone(),
        })?;
        if current != expect {
            self.system
                .write(resource, &expect, &self.journal.owner())
                .await
                .map_err(ChangeError::Resource)?;
        }
        let after = self.system.read(resource).await.map_err(ChangeError::Resource)?;
        self.append(Event::Done {
            prefix: *prefix,
            step: step.clone(),
            resource: resource.clone(),
            after: after.clone(),
        })?;
        Ok(after)
    }

    /// Notes that `prefix` needs a resource too that another prefix had changed already.
    pub(crate) async fn join(&mut self, key: &HoldKey, want: &Want) -> Result<(), ChangeError> {
        let Some(held) = self.journal.state().held(&key.resource) else {
            return Ok(());
        };
        let original = held.original.clone();
        let current = self
            .system
            .read(&key.resource)
            .await
            .map_err(ChangeError::Resource)?;
        self.append(Event::Begin {
            prefix: key.prefix,
            step: key.step.clone(),
            resource: key.resource.clone(),
            want: want.clone(),
            original,
            expect: current.clone(),
        })?;
        self.append(Event::Done {
            prefix: key.prefix,
            step: key.step.clone(),
            resource: key.resource.clone(),
            after: current,
        })
    }

    /// Lets go of a resource: it becomes what the others want, or what it was before any of us.
    ///
    /// A journal that cannot be written (a full disk) does not keep anything from being put back: a
    /// later run finds it done.
    pub(crate) async fn release(&mut self, key: &HoldKey) -> Result<Release, ResourceError> {
        let here = self.journal.place().clone();
        let Some(held) = self.journal.state().held(&key.resource).cloned() else {
            return Ok(Release::AlreadyGone);
        };
        let is_gone = held
            .holder(key.prefix, &key.step)
            .is_none_or(|holder| holder.is_gone(&key.resource, &here));
        if is_gone {
            self.let_go(key, None);
            return Ok(Release::AlreadyGone);
        }
        let wants = held.wants_except(key.prefix, &key.step, &here);
        let target = key.resource.target(&held.original, &wants);
        let current = self.system.read(&key.resource).await?;
        if current == target {
            // A killed run may have left a new file beside the old one.
            if key.resource == Resource::LimitsFile {
                self.system
                    .write(&key.resource, &target, &self.journal.owner())
                    .await?;
            }
            self.let_go(key, None);
            return Ok(if wants.is_empty() {
                Release::AlreadyGone
            } else {
                Release::Kept { value: current }
            });
        }
        if !held.is_ours(&current) {
            self.let_go(key, None);
            let is_gone =
                current.is_absent() && key.resource != Resource::LimitsFile || current == held.original;
            return Ok(if is_gone {
                Release::AlreadyGone
            } else {
                Release::ChangedByOther {
                    found: current,
                    original: held.original,
                }
            });
        }
        self.journal.note(Event::Undo {
            prefix: key.prefix,
            step: key.step.clone(),
            resource: key.resource.clone(),
            expect: target.clone(),
        });
        self.system
            .write(&key.resource, &target, &self.journal.owner())
            .await?;
        let after = self.system.read(&key.resource).await?;
        self.let_go(key, Some(after.clone()));
        Ok(Release::Restored {
            before: current,
            after,
        })
    }

    /// Goes back to `previous`, what this prefix wanted before, or lets go where it wanted nothing.
    pub(crate) async fn revert(
        &mut self,
        key: &HoldKey,
        previous: Option<&Want>,
    ) -> Result<(), ResourceError> {
        match previous {
            None => self.release(key).await.map(|_| ()),
            Some(want) => match self.change(key, want).await {
                Ok(_) => Ok(()),
                Err(ChangeError::Resource(error)) => Err(error),
                // The journal keeps its own error for the end.
                Err(ChangeError::Journal(_)) => Ok(()),
            },
        }
    }

    /// Undoes what a killed run left unfinished. Returns the names of those steps, and those that could not be undone.
    pub(crate) async fn settle(&mut self) -> (Vec<String>, Vec<(HoldKey, ResourceError)>) {
        let unfinished = self.journal.state().holds(|holder| holder.phase != Phase::Done);
        let (mut names, mut failed) = (Vec::new(), Vec::new());
        for key in unfinished {
            let previous = self.want_before(&key);
            match self.revert(&key, previous.as_ref()).await {
                Ok(()) => names.push(key.step),
                Err(error) => failed.push((key, error)),
            }
        }
        (names, failed)
    }

    /// What the holder of `key` wanted before a change that is under way.
    fn want_before(&self, key: &HoldKey) -> Option<Want> {
        let holder = self
            .journal
            .state()
            .held(&key.resource)?
            .holder(key.prefix, &key.step)?;
        match &holder.phase {
            Phase::Begun { previous, .. } => previous.clone(),
            Phase::Done | Phase::Undoing { .. } => None,
        }
    }

    /// What to go back to some day. What somebody else made of it since is what they will want back;
    /// routes, tables and files of ours were not there before.
    fn original(&self, resource: &Resource, current: &Value) -> Value {
        let held = self
            .journal
            .state()
            .held(resource)
            .filter(|held| held.is_live(self.journal.place()) && held.is_ours(current));
        match (held, resource) {
            (Some(held), _) => held.original.clone(),
            (None, Resource::Sysctl { .. }) => current.clone(),
            (None, _) => Value::ABSENT,
        }
    }

    fn others(&self, key: &HoldKey) -> Vec<&Want> {
        self.journal
            .state()
            .held(&key.resource)
            .map_or_else(Vec::new, |held| {
                held.wants_except(key.prefix, &key.step, self.journal.place())
            })
    }

    fn let_go(&mut self, key: &HoldKey, after: Option<Value>) {
        self.journal.note(Event::Undone {
            prefix: key.prefix,
            step: key.step.clone(),
            resource: key.resource.clone(),
            after,
        });
    }

    fn append(&mut self, event: Event) -> Result<(), ChangeError> {
        self.journal
            .append(event)
            .map_err(|error| ChangeError::Journal(error.into()))
    }
}

/// The hold of `prefix` on `resource`.
pub(crate) fn hold(prefix: Prefix, step: &str, resource: &Resource) -> HoldKey {
    HoldKey {
        resource: resource.clone(),
        prefix,
        step: step.to_owned(),
    }
}
