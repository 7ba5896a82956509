//! The exploration itself: breadth first, every order of every step, so that a counterexample is a
//! shortest one.

use std::collections::{BTreeSet, HashSet, VecDeque};

use stateright::{Checker, HasDiscoveries, Model, Path, Property};

use super::actions::Action;
use super::promises::{self, Promise};
use super::setting::Setting;
use super::state::{Job, State};

/// Two cores, as continuous integration has.
const THREADS: usize = 2;

impl Model for Setting {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(self.jobs, self.deadline)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.steps(state, actions);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        Some(self.step(state, &action))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        promises::properties(self)
    }
}

/// Every promise holds in every state that can be reached, and everything worth seeing is seen.
pub(crate) fn holds(setting: &Setting) -> usize {
    let checker = setting.clone().checker().threads(THREADS).spawn_bfs().join();
    println!("{setting}: {} states, {} steps deep", checker.unique_state_count(), checker.max_depth());
    let discoveries = checker.discoveries();
    for property in setting.properties() {
        let found = discoveries.get(property.name).cloned();
        match (property.expectation.discovery_is_failure(), found) {
            (true, Some(path)) => panic!("{}", told(setting, property.name, path)),
            (false, None) => panic!("{setting}: never seen: {}", property.name),
            _ => {}
        }
    }
    assert!(checker.is_done());
    checker.unique_state_count()
}

/// Without its safeguard the setting breaks this promise; the shortest way there is printed.
pub(crate) fn finds(setting: &Setting, promise: Promise) {
    let wanted = HasDiscoveries::AllOf(BTreeSet::from([promise.says()]));
    let checker = setting.clone().checker().threads(THREADS).finish_when(wanted).spawn_bfs().join();
    let Some(path) = checker.discovery(promise.says()) else {
        panic!("{:?} breaks nothing of \"{}\" in {} states", setting.mutation, promise.says(), checker.unique_state_count());
    };
    println!("{:?}\n{}", setting.mutation, told(setting, promise.says(), path));
}

/// A path, readable: each step, and the rows after it.
fn told(setting: &Setting, what: &str, path: Path<State, Action>) -> String {
    let mut lines = vec![format!("{setting}\ndoes not keep: {what}")];
    for (number, (state, action)) in path.into_vec().into_iter().enumerate() {
        let rows: Vec<String> = state.jobs.iter().map(ToString::to_string).collect();
        let then = action.map_or_else(|| "(here)".to_owned(), |action| action.to_string());
        lines.push(format!("{:>3}. {:<60} {}", number + 1, rows.join(" | "), then));
    }
    lines.join("\n")
}

/// The same, and the exploration comes to a job like this.
pub(crate) fn comes_to(what: &str, setting: &Setting, seen: fn(&Job) -> bool) {
    holds(setting);
    let there = transitions(setting).into_iter().any(|(_, _, after)| after.jobs.iter().any(seen));
    assert!(there, "{setting}: never seen: {what}");
}

/// Every step of every state, each state once, in the order of their depth.
pub(crate) fn transitions(setting: &Setting) -> Vec<(State, Action, State)> {
    let mut known: HashSet<State> = setting.init_states().into_iter().collect();
    let mut waiting: VecDeque<State> = setting.init_states().into();
    let mut all = Vec::new();
    while let Some(state) = waiting.pop_front() {
        let mut steps = Vec::new();
        setting.steps(&state, &mut steps);
        for action in steps {
            let after = setting.step(&state, &action);
            if known.insert(after.clone()) {
                waiting.push_back(after.clone());
            }
            all.push((state.clone(), action, after));
        }
    }
    all
}
