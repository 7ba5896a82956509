//! What evidence leads to, case by case, and whatever its order and number.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;
use crate::call::{LiveUser, MemberChange, Presence};

const STARTED_S: i64 = 1_700_000_000;

fn record(ended: Ended, accepted_after_s: Option<i64>) -> Record {
    Record {
        call_id: "c-1".to_owned(),
        caller: Some("bot".to_owned()),
        callees: vec!["ann".to_owned()],
        media_type: None,
        call_type: None,
        room_id: Some("room".to_owned()),
        room_id_type: None,
        started_at_s: Some(STARTED_S),
        accepted_at_s: accepted_after_s.map(|s| STARTED_S + s),
        ended_at_s: Some(STARTED_S + 30),
        ended,
    }
}

fn event(after_s: i64, happened: Happened) -> Evidence {
    Evidence::Callback(CallbackEvent {
        call_id: "c-1".to_owned(),
        event_at_ms: Some((STARTED_S + after_s) * 1000),
        happened,
    })
}

fn change(after_s: i64, account: &str, action: MemberAction) -> Evidence {
    let changes = vec![MemberChange {
        account: account.to_owned(),
        action,
    }];
    let users = Vec::new();
    event(after_s, Happened::MemberChanged { users, changes })
}

fn reply(codes: &[(&str, i64)]) -> Evidence {
    let result = |(callee, code): &(&str, i64)| CalleeResult {
        callee: (*callee).to_owned(),
        result_code: Some(*code),
    };
    Evidence::Reply(codes.iter().map(result).collect())
}

fn names(callees: &[&str]) -> Vec<String> {
    callees.iter().map(|callee| (*callee).to_owned()).collect()
}

/// The outcome and its source, for each callee.
fn told(callees: &[&str], evidence: &[Evidence]) -> Vec<(Outcome, OutcomeSource)> {
    let told = outcomes(&names(callees), evidence).callees;
    told.iter().map(|c| (c.outcome, c.source)).collect()
}

#[test]
fn a_record_tells_all_of_an_only_callee() {
    for (ended, accepted, outcome) in [
        (Ended::NormalEnd, Some(5), Outcome::Answered),
        (Ended::NormalEnd, None, Outcome::Unknown),
        (Ended::Reject, None, Outcome::Declined),
        (Ended::NotAnswer, None, Outcome::NoAnswer),
        (Ended::Cancel, None, Outcome::Cancelled),
        (Ended::CallBusy, None, Outcome::Busy),
        (Ended::Interrupt, None, Outcome::Interrupted),
        (Ended::Interrupt, Some(5), Outcome::Interrupted),
        (Ended::Offline, None, Outcome::Unreachable),
        (Ended::Other("later".to_owned()), None, Outcome::Unknown),
    ] {
        let evidence = [Evidence::Record(record(ended.clone(), accepted))];
        let of_ann = outcomes(&names(&["ann"]), &evidence);
        assert!(of_ann.has_record);
        let of_ann = &of_ann.callees[0];
        assert_eq!(of_ann.outcome, outcome, "{ended:?}");
        assert_eq!(of_ann.source, OutcomeSource::Record);
        let rang = accepted.unwrap_or(30);
        let seconds = (of_ann.ring_seconds, of_ann.talk_seconds);
        let talked = accepted.map_or(0, |accepted| 30 - accepted);
        let expected = (u32::try_from(rang).ok(), u32::try_from(talked).ok());
        assert_eq!(seconds, expected, "{ended:?}");
    }
}

#[test]
fn without_a_record_the_callbacks_tell_what_is_known_so_far() {
    let ended = |ended, accepted| event(31, Happened::Ended(record(ended, accepted)));
    let from_callback = |outcome| vec![(outcome, OutcomeSource::Callback)];
    let answer = change(4, "ann", MemberAction::Answer);
    for (evidence, outcome) in [
        (vec![ended(Ended::Reject, None)], Outcome::Declined),
        (vec![answer.clone()], Outcome::Answered),
        (
            vec![ended(Ended::Interrupt, Some(4)), answer],
            Outcome::Interrupted,
        ),
        (
            vec![change(9, "ann", MemberAction::NotAnswer)],
            Outcome::NoAnswer,
        ),
    ] {
        assert_eq!(told(&["ann"], &evidence), from_callback(outcome));
        assert!(!outcomes(&names(&["ann"]), &evidence).has_record);
    }
    let nothing = vec![(Outcome::Unknown, OutcomeSource::Nothing)];
    assert_eq!(told(&["ann"], &[]), nothing);
    assert_eq!(told(&["ann"], &[reply(&[("ann", 0)])]), nothing);
    let refused = vec![(Outcome::Unreachable, OutcomeSource::Reply)];
    assert_eq!(told(&["ann"], &[reply(&[("ann", 5)])]), refused);
}

#[test]
fn several_callees_are_told_by_what_each_did_and_never_guessed() {
    let evidence = [
        reply(&[("ann", 0), ("bob", 0), ("cid", 0), ("dan", 7)]),
        change(3, "ann", MemberAction::Answer),
        change(20, "ann", MemberAction::HangUp),
        change(5, "bob", MemberAction::Reject),
        change(1, "bot", MemberAction::HangUp),
        Evidence::Record(record(Ended::NormalEnd, Some(3))),
    ];
    let callees = ["ann", "bob", "cid", "dan"];
    let expected = [
        (Outcome::Answered, OutcomeSource::Callback),
        (Outcome::Declined, OutcomeSource::Callback),
        (Outcome::Unknown, OutcomeSource::Nothing),
        (Outcome::Unreachable, OutcomeSource::Reply),
    ];
    assert_eq!(told(&callees, &evidence), expected);
    let of_ann = &outcomes(&names(&callees), &evidence).callees[0];
    let seconds = (of_ann.ring_seconds, of_ann.talk_seconds);
    assert_eq!(seconds, (Some(3), Some(17)));
    // Whatever the one result of the call, it is nobody's in particular.
    for ended in [
        Ended::Reject,
        Ended::CallBusy,
        Ended::Cancel,
        Ended::Interrupt,
        Ended::Offline,
        Ended::NormalEnd,
    ] {
        let only = [Evidence::Record(record(ended, None))];
        let unknown = (Outcome::Unknown, OutcomeSource::Nothing);
        assert_eq!(told(&["ann", "bob"], &only), [unknown, unknown]);
    }
}

#[test]
fn a_call_that_nobody_answered_is_that_for_all_who_did_nothing_else() {
    let evidence = [
        Evidence::Record(record(Ended::NotAnswer, None)),
        change(5, "bob", MemberAction::Reject),
    ];
    let expected = [
        (Outcome::NoAnswer, OutcomeSource::Record),
        (Outcome::Declined, OutcomeSource::Callback),
    ];
    assert_eq!(told(&["ann", "bob"], &evidence), expected);
}

#[test]
fn an_answer_that_the_record_denies_is_none() {
    for ended in [Ended::NotAnswer, Ended::Cancel] {
        let outcome = match ended {
            Ended::NotAnswer => (Outcome::NoAnswer, OutcomeSource::Record),
            _ => (Outcome::Unknown, OutcomeSource::Nothing),
        };
        let evidence = [
            Evidence::Record(record(ended, None)),
            change(3, "ann", MemberAction::Answer),
            change(9, "ann", MemberAction::HangUp),
        ];
        assert_eq!(told(&["ann", "bob"], &evidence), [outcome, outcome]);
    }
}

#[test]
fn who_goes_offline_once_somebody_picked_up_may_have_been_in_the_call() {
    let record = || Evidence::Record(record(Ended::NormalEnd, Some(3)));
    let answer = || change(3, "ann", MemberAction::Answer);
    let of_bob = |evidence: &[Evidence]| told(&["ann", "bob"], evidence)[1];
    let offline = |after_s| change(after_s, "bob", MemberAction::Offline);
    let unreachable = (Outcome::Unreachable, OutcomeSource::Callback);
    let unknown = (Outcome::Unknown, OutcomeSource::Nothing);
    assert_eq!(of_bob(&[offline(1), answer(), record()]), unreachable);
    assert_eq!(of_bob(&[offline(9)]), unreachable, "as far as is known");
    assert_eq!(of_bob(&[offline(9), record()]), unknown);
    assert_eq!(of_bob(&[offline(9), answer()]), unknown);
    // Who is on the call stands in what tells of anybody; it is nobody's own word, and proves none.
    let users = vec![LiveUser {
        account: "bob".to_owned(),
        presence: Presence::Calling,
    }];
    let changes = vec![MemberChange {
        account: "ann".to_owned(),
        action: MemberAction::Answer,
    }];
    let both = event(5, Happened::MemberChanged { users, changes });
    assert_eq!(of_bob(&[both.clone(), offline(1), record()]), unknown);
    assert_eq!(of_bob(&[both, record()]), unknown);
}

#[test]
fn who_hangs_up_had_answered_and_who_answered_stays_so() {
    for actions in [
        vec![MemberAction::HangUp],
        vec![MemberAction::Join],
        vec![MemberAction::Answer, MemberAction::Offline],
        vec![MemberAction::Offline, MemberAction::Answer],
        vec![MemberAction::NotAnswer, MemberAction::Join],
    ] {
        let of_ann: Vec<_> = actions
            .iter()
            .map(|action| change(4, "ann", action.clone()))
            .collect();
        let of_ann = told(&["ann", "bob"], &of_ann)[0];
        assert_eq!(
            of_ann,
            (Outcome::Answered, OutcomeSource::Callback),
            "{actions:?}"
        );
    }
    for action in [MemberAction::Invite, MemberAction::Other("Wave".to_owned())] {
        let of_ann = told(&["ann", "bob"], &[change(4, "ann", action)])[0];
        assert_eq!(of_ann, (Outcome::Unknown, OutcomeSource::Nothing));
    }
}

/// Any end with any of the words.
fn any_record() -> impl Strategy<Value = Record> {
    let ends = vec![
        Ended::NormalEnd,
        Ended::Reject,
        Ended::NotAnswer,
        Ended::Cancel,
        Ended::CallBusy,
        Ended::Interrupt,
        Ended::Offline,
        Ended::Other("x".to_owned()),
    ];
    (select(ends), proptest::option::of(0..30_i64))
        .prop_map(|(ended, accepted)| record(ended, accepted))
}

/// Anything that may come of a call to ann, bob and cid, true or forged.
fn any_hint() -> impl Strategy<Value = Evidence> {
    let who = || select(vec!["ann", "bob", "cid", "bot"]);
    let actions = vec![
        MemberAction::Answer,
        MemberAction::Reject,
        MemberAction::NotAnswer,
        MemberAction::HangUp,
        MemberAction::Join,
        MemberAction::Offline,
        MemberAction::Invite,
        MemberAction::CancelInvite,
        MemberAction::Busy,
        MemberAction::Other("x".to_owned()),
    ];
    let started = |after_s| {
        let users = vec![LiveUser {
            account: "ann".to_owned(),
            presence: Presence::Calling,
        }];
        let (room_id, room_id_type) = (None, None);
        event(
            after_s,
            Happened::Started {
                room_id,
                room_id_type,
                users,
            },
        )
    };
    let changed = (0..40_i64, who(), select(actions));
    let changed = changed.prop_map(|(after_s, who, action)| change(after_s, who, action));
    prop_oneof![
        (0..3_i64).prop_map(started),
        changed,
        any_record().prop_map(|record| event(31, Happened::Ended(record))),
        (who(), -2..3_i64).prop_map(|(who, code)| reply(&[(who, code)])),
    ]
}

/// The same evidence with some of it lost, some doubled, in another order.
fn disturbed(evidence: &[Evidence], picks: &[Index]) -> Vec<Evidence> {
    if evidence.is_empty() {
        return Vec::new();
    }
    picks
        .iter()
        .map(|pick| pick.get(evidence).clone())
        .collect()
}

proptest! {
    #[test]
    fn an_only_callee_ends_as_the_record_says_whatever_else_came_or_did_not(
        record in any_record(),
        hints in vec(any_hint(), 0..8),
        picks in vec(any::<Index>(), 0..12),
        at in any::<Index>(),
    ) {
        let only = outcomes(&names(&["ann"]), &[Evidence::Record(record.clone())]);
        let mut evidence = disturbed(&hints, &picks);
        evidence.insert(at.index(evidence.len() + 1), Evidence::Record(record.clone()));
        evidence.insert(at.index(evidence.len() + 1), Evidence::Record(record));
        prop_assert_eq!(outcomes(&names(&["ann"]), &evidence), only);
    }

    #[test]
    fn order_and_number_of_the_evidence_change_nothing(
        record in proptest::option::of(any_record()),
        hints in vec(any_hint(), 0..8),
        order in Just((0..10_usize).collect::<Vec<_>>()).prop_shuffle(),
        doubled in vec(any::<Index>(), 0..6),
    ) {
        let mut evidence = hints;
        evidence.extend(record.map(Evidence::Record));
        let mut other: Vec<_> = order.iter().filter_map(|at| evidence.get(*at)).cloned().collect();
        other.extend(disturbed(&evidence, &doubled));
        for callees in [&["ann"][..], &["ann", "bob", "cid"]] {
            let callees = names(callees);
            prop_assert_eq!(outcomes(&callees, &evidence), outcomes(&callees, &other));
        }
    }

    /// What a call to several is like where nobody lies: each does one thing that is told, and the
    /// record is that of the whole. With any of it lost, a callee is as he was, or unknown.
    #[test]
    fn of_several_callees_loss_makes_unknown_and_never_something_else(
        acts in vec(0..4_usize, 3),
        lost in vec(any::<bool>(), 6),
        has_record in any::<bool>(),
    ) {
        let callees = names(&["ann", "bob", "cid"]);
        let words = [
            MemberAction::Answer,
            MemberAction::Reject,
            MemberAction::Offline,
            MemberAction::NotAnswer,
        ];
        let mut evidence = Vec::new();
        for (callee, act) in callees.iter().zip(&acts) {
            evidence.push(change(4, callee, words[*act].clone()));
            if *act == 0 {
                evidence.push(change(20, callee, MemberAction::HangUp));
            }
        }
        let truth = outcomes(&callees, &evidence);
        // Where it is answered the record says so; otherwise it is one that proves nothing of each.
        let whole = if acts.contains(&0) {
            record(Ended::NormalEnd, Some(4))
        } else {
            record(Ended::Reject, None)
        };
        let kept = evidence.iter().zip(&lost).filter(|(_, lost)| !**lost);
        let mut left: Vec<_> = kept.map(|(piece, _)| piece.clone()).collect();
        left.extend(has_record.then_some(Evidence::Record(whole)));
        for (now, then) in outcomes(&callees, &left).callees.iter().zip(&truth.callees) {
            let is_unknown = now.outcome == Outcome::Unknown;
            prop_assert!(is_unknown || now.outcome == then.outcome, "{now:?} {then:?}");
        }
    }
}
