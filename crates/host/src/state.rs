//! What the journal adds up to: who wants what of which resource, and what it was before.

use v6kit_net::Prefix;

use crate::event::{Event, Line, Ready};
use crate::place::Place;
use crate::program::{Program, Running};
use crate::resource::{Resource, Want};
use crate::summary::{SetUp, Summary};
use crate::value::Value;

/// Everything that is held and every prefix that is set up.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct State {
    held: Vec<Held>,
    /// The latest last.
    setups: Vec<(Place, Ready)>,
    /// The programs that use a prefix, or did when they were last heard of.
    programs: Vec<(Place, Prefix, Program)>,
    /// Events so far, to tell older holds from newer ones.
    clock: usize,
}

/// A resource that was changed, with everybody who wants something of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Held {
    pub(crate) resource: Resource,
    /// What it goes back to.
    pub(crate) original: Value,
    /// What was read back after the last change; unknown while the first is unfinished.
    pub(crate) after: Option<Value>,
    pub(crate) holders: Vec<Holder>,
}

/// One prefix's hold on a resource.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Holder {
    pub(crate) prefix: Prefix,
    pub(crate) step: String,
    pub(crate) want: Want,
    pub(crate) phase: Phase,
    pub(crate) place: Place,
    since: usize,
}

/// How far a change has come.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Phase {
    /// Announced: it may be made, half made or not made.
    Begun {
        /// What the resource becomes.
        expect: Value,
        /// What was wanted before that.
        previous: Option<Want>,
    },
    /// Made.
    Done,
    /// Its undoing is announced.
    Undoing {
        /// What the resource becomes.
        expect: Value,
    },
}

/// Names a hold.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HoldKey {
    pub(crate) resource: Resource,
    pub(crate) prefix: Prefix,
    pub(crate) step: String,
}

impl Holder {
    /// Whether the change went with a boot, or with the network namespace that it was made in.
    pub(crate) fn is_gone(&self, resource: &Resource, here: &Place) -> bool {
        resource.is_volatile() && !self.place.is_same(here)
    }

    fn is(&self, prefix: Prefix, step: &str) -> bool {
        self.prefix == prefix && self.step == step
    }
}

impl Held {
    pub(crate) fn holder(&self, prefix: Prefix, step: &str) -> Option<&Holder> {
        self.holders.iter().find(|holder| holder.is(prefix, step))
    }

    /// What is wanted of it in this boot by all but one hold.
    pub(crate) fn wants_except(&self, prefix: Prefix, step: &str, here: &Place) -> Vec<&Want> {
        self.holders
            .iter()
            .filter(|holder| !holder.is(prefix, step) && !holder.is_gone(&self.resource, here))
            .map(|holder| &holder.want)
            .collect()
    }

    /// Whether anybody holds it in this boot.
    pub(crate) fn is_live(&self, here: &Place) -> bool {
        self.holders
            .iter()
            .any(|holder| !holder.is_gone(&self.resource, here))
    }

    /// Whether `current` is what we made it, and not what somebody else made it since.
    pub(crate) fn is_ours(&self, current: &Value) -> bool {
        let is = |value: &Value| self.resource.is_same(value, current);
        self.after.as_ref().is_some_and(is)
            || self.holders.iter().any(|holder| match &holder.phase {
                Phase::Begun { expect, .. } | Phase::Undoing { expect } => {
                    // What a table is listed as is known only after it was made.
                    self.resource.is_firewall() || is(expect)
                }
                Phase::Done => false,
            })
    }
}

impl State {
    /// Nothing held, nothing set up.
    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty() && self.setups.is_empty() && self.programs.is_empty()
    }

    /// What other commands may know of it.
    pub(crate) fn summary(&self) -> Summary {
        let setups = self
            .setups()
            .filter(|(_, ready)| !ready.prefix.is_this_host())
            .map(|(place, ready)| SetUp {
                prefix: ready.prefix,
                device: ready.device.clone(),
                device_index: ready.index,
                route_device: ready.route_device.clone(),
                boot_id: place.boot_id.clone(),
                for_programs: ready.for_programs,
            })
            .collect();
        Summary {
            setups,
            journal_lines: None,
        }
    }

    pub(crate) fn held(&self, resource: &Resource) -> Option<&Held> {
        self.held.iter().find(|held| held.resource == *resource)
    }

    /// The prefixes that are set up, the latest first.
    pub(crate) fn setups(&self) -> impl Iterator<Item = &(Place, Ready)> {
        self.setups.iter().rev()
    }

    pub(crate) fn setup(&self, prefix: Prefix) -> Option<&Ready> {
        self.setups()
            .map(|(_, ready)| ready)
            .find(|ready| ready.prefix == prefix)
    }

    /// Every prefix that holds something or is set up, the latest first.
    pub(crate) fn prefixes(&self) -> Vec<Prefix> {
        let mut prefixes: Vec<Prefix> = self.setups().map(|(_, ready)| ready.prefix).collect();
        for key in self.holds(|_| true) {
            if !prefixes.contains(&key.prefix) {
                prefixes.push(key.prefix);
            }
        }
        for (_, prefix, _) in &self.programs {
            if !prefixes.contains(prefix) {
                prefixes.push(*prefix);
            }
        }
        prefixes
    }

    /// The programs that were said to use `prefix`, and where each was.
    pub(crate) fn programs(&self, prefix: Prefix) -> impl Iterator<Item = (&Place, Program)> {
        let of_prefix = self.programs.iter().filter(move |(_, used, _)| *used == prefix);
        of_prefix.map(|(place, _, program)| (place, *program))
    }

    /// What runs of the programs that use `prefix`.
    pub(crate) fn running(&self, prefix: Prefix, here: &Place) -> Vec<Running> {
        self.programs(prefix)
            .flat_map(|(place, program)| program.running(place, here))
            .collect()
    }

    /// Whether somebody set `prefix` up for longer than a program runs.
    pub(crate) fn is_lasting(&self, prefix: Prefix) -> bool {
        self.setup(prefix).is_some_and(|ready| !ready.for_programs)
    }

    /// The prefixes that were set up for programs none of which runs any more.
    pub(crate) fn abandoned(&self, here: &Place) -> Vec<Prefix> {
        let mut prefixes = self.prefixes();
        prefixes.retain(|prefix| {
            let is_for_programs = self.setup(*prefix).is_some_and(|ready| ready.for_programs)
                || self.setup(*prefix).is_none() && self.programs(*prefix).next().is_some();
            is_for_programs && self.running(*prefix, here).is_empty()
        });
        prefixes
    }

    /// The holds that `matches`, the newest first.
    pub(crate) fn holds(&self, matches: impl Fn(&Holder) -> bool) -> Vec<HoldKey> {
        let mut found: Vec<(usize, HoldKey)> = self
            .held
            .iter()
            .flat_map(|held| held.holders.iter().map(move |holder| (held, holder)))
            .filter(|(_, holder)| matches(holder))
            .map(|(held, holder)| {
                let key = HoldKey {
                    resource: held.resource.clone(),
                    prefix: holder.prefix,
                    step: holder.step.clone(),
                };
                (holder.since, key)
            })
            .collect();
        found.sort_by_key(|(since, _)| std::cmp::Reverse(*since));
        found.into_iter().map(|(_, key)| key).collect()
    }

    /// The other network namespaces of this boot that something was made in.
    pub(crate) fn other_namespaces(&self, here: &Place) -> Vec<&Place> {
        let holders = self.held.iter().flat_map(|held| &held.holders);
        let places = self.setups.iter().map(|(place, _)| place);
        let mut others: Vec<&Place> = Vec::new();
        for place in places.chain(holders.map(|holder| &holder.place)) {
            let is_other = place.boot_id == here.boot_id && !place.is_same_namespace(here);
            if is_other && !others.iter().any(|known| known.is_same(place)) {
                others.push(place);
            }
        }
        others
    }

    /// The prefixes that a route was made for under another boot id, as it seems in this very namespace.
    pub(crate) fn routes_of_other_boots(&self, here: &Place) -> Vec<(Place, Prefix)> {
        self.holds(|holder| holder.place.boot_id != here.boot_id && holder.place.is_same_namespace(here))
            .into_iter()
            .filter(|key| matches!(key.resource, Resource::Route { .. }))
            .filter_map(|key| {
                let holder = self.held(&key.resource)?.holder(key.prefix, &key.step)?;
                Some((holder.place.clone(), key.prefix))
            })
            .collect()
    }

    /// Adds an event.
    pub(crate) fn record(&mut self, line: &Line) {
        self.clock += 1;
        match &line.event {
            Event::Begin {
                prefix,
                step,
                resource,
                want,
                original,
                expect,
            } => {
                let since = self.clock;
                let held = self.held_or_new(resource, original);
                // What was held in another boot says nothing about the value of this one.
                if !held.is_live(&line.place) {
                    held.after = None;
                }
                held.original = original.clone();
                let previous = held
                    .holder(*prefix, step)
                    .filter(|holder| !holder.is_gone(resource, &line.place))
                    .map(|holder| holder.want.clone());
                held.holders.retain(|holder| !holder.is(*prefix, step));
                held.holders.push(Holder {
                    prefix: *prefix,
                    step: step.clone(),
                    want: want.clone(),
                    phase: Phase::Begun {
                        expect: expect.clone(),
                        previous,
                    },
                    place: line.place.clone(),
                    since,
                });
            }
            Event::Done {
                prefix,
                step,
                resource,
                after,
            } => self.update(resource, *prefix, step, |held, index| {
                held.after = Some(after.clone());
                held.holders[index].phase = Phase::Done;
            }),
            Event::Undo {
                prefix,
                step,
                resource,
                expect,
            } => self.update(resource, *prefix, step, |held, index| {
                held.holders[index].phase = Phase::Undoing {
                    expect: expect.clone(),
                };
            }),
            Event::Undone {
                prefix,
                step,
                resource,
                after,
            } => self.update(resource, *prefix, step, |held, index| {
                held.holders.remove(index);
                if after.is_some() {
                    held.after.clone_from(after);
                }
            }),
            Event::Ready(ready) => {
                self.setups.retain(|(_, setup)| setup.prefix != ready.prefix);
                self.setups.push((line.place.clone(), ready.clone()));
            }
            Event::Gone { prefix } => {
                self.setups.retain(|(_, setup)| setup.prefix != *prefix);
                self.programs.retain(|(_, used, _)| used != prefix);
            }
            Event::Entered { prefix, program } => {
                self.programs.push((line.place.clone(), *prefix, *program));
            }
            Event::Left { prefix, program } => {
                self.programs
                    .retain(|(_, used, known)| used != prefix || known != program);
            }
        }
        self.held.retain(|held| !held.holders.is_empty());
    }

    fn held_or_new(&mut self, resource: &Resource, original: &Value) -> &mut Held {
        let index = match self.held.iter().position(|held| held.resource == *resource) {
            Some(index) => index,
            None => {
                self.held.push(Held {
                    resource: resource.clone(),
                    original: original.clone(),
                    after: None,
                    holders: Vec::new(),
                });
                self.held.len() - 1
            }
        };
        &mut self.held[index]
    }

    fn update(
        &mut self,
        resource: &Resource,
        prefix: Prefix,
        step: &str,
        change: impl FnOnce(&mut Held, usize),
    ) {
        let held = self.held.iter_mut().find(|held| held.resource == *resource);
        if let Some(held) = held
            && let Some(index) = held.holders.iter().position(|holder| holder.is(prefix, step))
        {
            change(held, index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(boot: &str) -> Place {
        Place {
            boot_id: boot.to_owned(),
            network_namespace: 1,
            cookie: None,
            pid_namespace: None,
            init: None,
        }
    }

    fn prefix(number: u16) -> Prefix {
        format!("2001:db8:{number}::/64").parse().unwrap()
    }

    fn begin(number: u16, resource: &Resource, value: &str) -> Event {
        Event::Begin {
            prefix: prefix(number),
            step: "s".to_owned(),
            resource: resource.clone(),
            want: Want::Exactly {
                value: value.to_owned(),
            },
            original: Value::text("0"),
            expect: Value::text(value),
        }
    }

    fn done(number: u16, resource: &Resource, value: &str) -> Event {
        Event::Done {
            prefix: prefix(number),
            step: "s".to_owned(),
            resource: resource.clone(),
            after: Value::text(value),
        }
    }

    fn fold(events: Vec<(&str, Event)>) -> State {
        let mut state = State::default();
        for (boot, event) in events {
            let place = place(boot);
            state.record(&Line { place, event });
        }
        state
    }

    #[test]
    fn an_unfinished_change_may_or_may_not_have_been_made() {
        let knob = Resource::sysctl("a");
        let state = fold(vec![("x", begin(1, &knob, "1"))]);
        let held = state.held(&knob).unwrap();
        assert!(held.is_ours(&Value::text("1")));
        assert!(!held.is_ours(&Value::text("0")));
        assert_eq!(held.original, Value::text("0"));
    }

    #[test]
    fn a_resource_is_held_until_the_last_holder_lets_go() {
        let knob = Resource::sysctl("a");
        let undone = |number| Event::Undone {
            prefix: prefix(number),
            step: "s".to_owned(),
            resource: knob.clone(),
            after: None,
        };
        let mut events = vec![
            ("x", begin(1, &knob, "1")),
            ("x", done(1, &knob, "1")),
            ("x", begin(2, &knob, "1")),
            ("x", done(2, &knob, "1")),
            ("x", undone(1)),
        ];
        let state = fold(events.clone());
        assert_eq!(state.prefixes(), [prefix(2)]);
        assert!(state.held(&knob).unwrap().is_ours(&Value::text("1")));
        events.push(("x", undone(2)));
        assert!(fold(events).is_empty());
    }

    #[test]
    fn after_a_boot_only_files_are_held() {
        let state = fold(vec![
            ("x", begin(1, &Resource::sysctl("a"), "1")),
            ("x", begin(1, &Resource::LimitsFile, "1")),
        ]);
        let live = |resource: &Resource| state.held(resource).unwrap().is_live(&place("y"));
        assert!(!live(&Resource::sysctl("a")));
        assert!(live(&Resource::LimitsFile));
    }

    #[test]
    fn holds_are_listed_with_the_newest_first() {
        let state = fold(vec![
            ("x", begin(1, &Resource::sysctl("a"), "1")),
            ("x", begin(2, &Resource::sysctl("b"), "1")),
            ("x", begin(1, &Resource::sysctl("c"), "1")),
        ]);
        let newest: Vec<Resource> = state
            .holds(|_| true)
            .into_iter()
            .map(|key| key.resource)
            .collect();
        assert_eq!(newest, ["c", "b", "a"].map(Resource::sysctl));
    }

    #[test]
    fn a_changed_want_remembers_the_one_before() {
        let knob = Resource::sysctl("a");
        let state = fold(vec![
            ("x", begin(1, &knob, "1")),
            ("x", done(1, &knob, "1")),
            ("x", begin(1, &knob, "2")),
        ]);
        let held = state.held(&knob).unwrap();
        let Phase::Begun { previous, .. } = &held.holders[0].phase else {
            panic!("{held:?}")
        };
        assert_eq!(
            *previous,
            Some(Want::Exactly {
                value: "1".to_owned()
            })
        );
        assert!(held.is_ours(&Value::text("1")) && held.is_ours(&Value::text("2")));
    }
}
