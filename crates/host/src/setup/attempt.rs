//! Steps whose outcome is looked at: rules that follow the addresses, and connections without tracking, which are
//! tried.

use std::net::Ipv6Addr;

use super::Run;
use super::told::planned;
use crate::addresses::renew_addresses;
use crate::change::hold;
use crate::error::HostError;
use crate::plan::Step;
use crate::report::{SetupState, SetupStep};
use crate::resource::Want;
use crate::trial::Trial;

impl Run<'_> {
    /// Does without connection tracking, unless a connection that worked before does not work then.
    pub(super) async fn make_if_it_works(
        &mut self,
        step: &Step,
        want: &Want,
        before: Option<String>,
        trial: &Trial,
    ) -> Result<SetupStep, HostError> {
        if !trial.is_answered().await {
            return self.make_if_it_works_here(step, want, before, trial).await;
        }
        let made = self.make(step, want, before.clone()).await?;
        if made.state != SetupState::Changed {
            return Ok(made);
        }
        // Twice: nothing is taken back for a moment's loss.
        if trial.is_answered().await || trial.is_answered().await {
            return Ok(SetupStep {
                reason: format!("{}; tried with the default gateway", made.reason),
                ..made
            });
        }
        if let Some((key, previous)) = self.made.pop() {
            self.ledger.revert(&key, previous.as_ref()).await?;
        }
        let why = if !trial.is_answered().await {
            "the default gateway stopped answering while it was tried, with and without it: taken back"
                .to_owned()
        } else if trial.has_suspects() {
            format!(
                "untracked, the default gateway's answers do not arrive; tracked, they do: taken back. Untracked packets are likely dropped by {}",
                trial.named()
            )
        } else {
            "untracked, the default gateway's answers do not arrive; tracked, they do: taken back. What drops them was not found among the rules of nft".to_owned()
        };
        Ok(not_done(step, before, why, trial.hint()))
    }

    /// Where no default gateway answers, the hooks of this host are tried alone: what does not work by lo works by no
    /// other device.
    async fn make_if_it_works_here(
        &mut self,
        step: &Step,
        want: &Want,
        before: Option<String>,
        trial: &Trial,
    ) -> Result<SetupStep, HostError> {
        let worked = trial.is_answered_here().await;
        let has_suspects = trial.has_suspects();
        let likely = || {
            format!(
                "untracked packets are likely dropped by {}, and no default gateway answers by which that could be tried",
                trial.named()
            )
        };
        if has_suspects && !worked {
            return Ok(not_done(step, before, likely(), trial.hint()));
        }
        let made = self.make(step, want, before.clone()).await?;
        if made.state != SetupState::Changed {
            return Ok(made);
        }
        let works = trial.is_answered_here().await || trial.is_answered_here().await;
        if works && !has_suspects {
            return Ok(SetupStep {
                reason: format!(
                    "{}; packets of lo pass untracked, and what comes in by other devices was not tried, as no default gateway answers",
                    made.reason
                ),
                ..made
            });
        }
        if !worked {
            return Ok(SetupStep {
                reason: format!("{}; not tried, as no default gateway answers", made.reason),
                ..made
            });
        }
        if let Some((key, previous)) = self.made.pop() {
            self.ledger.revert(&key, previous.as_ref()).await?;
        }
        let why = if works {
            format!(
                "packets of lo pass untracked, and others not for sure: {}",
                likely()
            )
        } else if !trial.is_answered_here().await {
            "this host stopped answering itself by lo while it was tried, with and without it: taken back"
                .to_owned()
        } else if has_suspects {
            format!(
                "untracked, this host does not answer itself by lo; tracked, it does: taken back. Untracked packets are likely dropped by {}",
                trial.named()
            )
        } else {
            "untracked, this host does not answer itself by lo; tracked, it does: taken back. What drops the packets was not found among the rules of nft".to_owned()
        };
        Ok(not_done(step, before, why, trial.hint()))
    }

    /// Something was added since that may drop what is untracked: it is tried without, and then with it again.
    pub(super) async fn try_again(
        &mut self,
        step: &Step,
        want: &Want,
        value: Option<String>,
        trial: &Trial,
    ) -> Result<SetupStep, HostError> {
        let Some(resource) = &step.resource else {
            return Ok(planned(step));
        };
        let key = hold(self.wanted.prefix, &step.id, resource);
        self.ledger.release(&key).await?;
        if trial.is_answered().await {
            return self.make_if_it_works(step, want, value, trial).await;
        }
        let made = self.make(step, want, value).await?;
        Ok(SetupStep {
            state: SetupState::Unchanged,
            reason: format!("{}; not tried, as no default gateway answers", made.reason),
            ..made
        })
    }
}

/// Rules that stay, true to the addresses that this host has now.
pub(super) async fn renewed(step: &Step) -> Result<SetupStep, HostError> {
    let renewal = renew_addresses().await?.unwrap_or_default();
    let listed = |addresses: &[Ipv6Addr]| {
        let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        texts.join(", ")
    };
    let reason = match (renewal.opened.as_slice(), renewal.shut.as_slice()) {
        ([], []) => return Ok(planned(step)),
        (opened, []) => format!("now open, as addresses of this host: {}", listed(opened)),
        ([], shut) => format!(
            "now shut, as no addresses of this host any more: {}",
            listed(shut)
        ),
        (opened, shut) => format!(
            "now open, as addresses of this host: {}; now shut: {}",
            listed(opened),
            listed(shut)
        ),
    };
    Ok(SetupStep {
        state: SetupState::Changed,
        reason,
        ..planned(step)
    })
}

/// A step that something stands against.
fn not_done(step: &Step, value: Option<String>, why: String, hint: String) -> SetupStep {
    SetupStep {
        id: step.id.clone(),
        state: SetupState::Conflict,
        before: value.clone(),
        after: value,
        reason: why,
        hint: Some(hint),
    }
}
