//! Ways that a worker goes by itself, from the claim to the record, beside a real one that does.

use callq::sandbox::{Fault, FaultKind};

use super::HOLD;
use super::actions::{Action, Fate};
use super::names::word;
use super::replay::{expected, row};
use super::setting::Setting;
use super::state::{Claim, State};
use crate::support::rig::Rig;

/// What becomes of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Met {
    Answer(Fate),
    /// It is read and the connection is closed.
    Silence,
}

/// The steps of a worker that nothing befalls but these answers, one for each attempt.
fn way(answers: &[Met]) -> Vec<Action> {
    let mut way = Vec::new();
    for (token, met) in (0_u8..).zip(answers) {
        let claim = Claim {
            worker: 0,
            job: 0,
            attempt: token + 1,
            token,
        };
        way.extend([
            Action::Claim {
                worker: 0,
                jobs: vec![0],
            },
            Action::Answered { token },
            Action::Check(claim),
            Action::Send(claim),
        ]);
        way.extend(match met {
            Met::Answer(fate) => [Action::Arrive(claim, *fate), Action::Read(claim)],
            Met::Silence => [Action::Arrive(claim, Fate::Rings), Action::Lose(claim)],
        });
        way.push(Action::Record(claim));
    }
    way
}

/// The same for the sandbox.
fn fault(met: Met) -> Option<Fault> {
    let code = |code| Some(Fault::new(FaultKind::ErrorCode(code)).times(1));
    match met {
        Met::Answer(Fate::Rings) => None,
        Met::Answer(Fate::RingsInDoubt) => code(60008).map(Fault::that_rings),
        Met::Answer(Fate::QuietInDoubt) => code(60008),
        Met::Answer(Fate::Throttled) => code(60011),
        Met::Answer(Fate::Cannot) => code(60002),
        Met::Silence => Some(Fault::new(FaultKind::CloseAfterReading).times(1)),
    }
}

#[tokio::test]
async fn a_living_worker_goes_the_models_way_from_the_claim_to_the_record() {
    let rig = Rig::new().await;
    for answers in [
        &[Met::Answer(Fate::Rings)][..],
        &[Met::Answer(Fate::RingsInDoubt)],
        &[Met::Answer(Fate::QuietInDoubt)],
        &[Met::Answer(Fate::Cannot)],
        &[Met::Silence],
        &[Met::Answer(Fate::Throttled), Met::Answer(Fate::Rings)],
        &[Met::Answer(Fate::Throttled), Met::Answer(Fate::Cannot)],
        &[Met::Answer(Fate::Throttled), Met::Silence],
    ] {
        let setting = Setting { workers: 1, ..HOLD };
        let mut state = State::new(1, setting.deadline);
        for action in way(answers) {
            let mut steps = Vec::new();
            setting.steps(&state, &mut steps);
            assert!(
                steps.contains(&action),
                "{action} is no step of the model now"
            );
            state = setting.step(&state, &action);
        }
        rig.sandbox.reset();
        for met in answers {
            fault(*met).map(|fault| rig.sandbox.script(fault).unwrap());
        }
        rig.sql("DELETE FROM callq.jobs; DELETE FROM callq.attempts")
            .await;
        let columns = [("on_doubt", "'hold'"), ("max_attempts", "2")];
        let id = rig.insert("jack", &columns).await;
        let worker = rig.worker().await;
        let job = &state.jobs[0];
        rig.until_state(id, word(job.state)).await;
        worker.stop().await.unwrap();
        assert_eq!(
            row(&rig).await,
            expected(job),
            "the worker, then the model: {answers:?}"
        );
        let rings = rig.sandbox.read_ledger(|ledger| ledger.calls().len());
        assert_eq!(rings, usize::from(job.truth.rings), "{answers:?}");
        rig.audit().await;
    }
}
