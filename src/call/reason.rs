//! Why a job is where it is, as the words that stand in `callq.jobs.reason`; and why a firing is no
//! job, as they stand in `callq.skipped_firings.reason`.

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $word:literal,)+) => {
        /// A word of `callq.reasons`, which has the sentence and the next step for each; of a
        /// job, or of a firing that is not made into one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason { $($(#[doc = $doc])+ $name,)+ }

        impl Reason {
            /// Every reason that the program gives. (The database's own functions give more.)
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The word in the database.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word),+ }
            }
        }
    };
}

reasons! {
    /// Accepted; at least one callee is rung.
    Accepted = "accepted",
    /// Tencent refused because too many requests came.
    Throttled = "throttled",
    /// The trial edition's daily quota is used up.
    QuotaUsed = "quota_used",
    /// The host could not be reached.
    Unreachable = "unreachable",
    /// The request was not sent.
    NotSent = "not_sent",
    /// Tencent refused the app.
    AppFault = "app_fault",
    /// Tencent refused the `UserSig`; a fresh one is tried.
    RenewingUserSig = "renewing_user_sig",
    /// Claimed and put back without sending.
    GivenBack = "given_back",
    /// No readable reply came.
    ReplyUnknown = "reply_unknown",
    /// The reply does not say whether the phone rang.
    ReplyInDoubt = "reply_in_doubt",
    /// Refused for good.
    Refused = "refused",
    /// The row cannot be made into a valid request.
    InvalidRequest = "invalid_request",
    /// Accepted, but no callee has result code 0.
    CalleesRefused = "callees_refused",
    /// All requests that may be spent are spent.
    AttemptsExhausted = "attempts_exhausted",
    /// The deadline passed while the job waited for its turn.
    ExpiredPace = "expired_pace",
    /// The deadline passed while the host could not be reached.
    ExpiredUnreachable = "expired_unreachable",
    /// The deadline passed while Tencent refused requests.
    ExpiredThrottled = "expired_throttled",
    /// Evidence shows that the call took place, though its reply was lost.
    RecordFound = "record_found",
    /// Tencent's records prove that there was no call.
    NoRecord = "no_record",
    /// Who was not reached is rung again by a follow-up job.
    RingAgain = "ring_again",
    /// Who was not reached was rung as often as `ring_policy` allows.
    RingTotal = "ring_total",
    /// `ring_policy` never rings again after what became of them.
    RingOutcome = "ring_outcome",
    /// Of a firing: its time passed while no worker ran.
    Missed = "missed",
    /// Of a firing: an earlier job of its schedule was not finished.
    Overlap = "overlap",
    /// Of a firing: a person skipped it.
    FiringSkipped = "firing_skipped",
    /// Of a firing: its schedule was paused or disabled.
    SchedulePaused = "schedule_paused",
    /// Of a firing: its schedule was changed before it rang.
    Superseded = "superseded",
    /// Of a firing: its local day did not exist.
    NonexistentDay = "nonexistent_day",
    /// Of a firing: the database refused its job.
    InsertFailed = "insert_failed",
}
