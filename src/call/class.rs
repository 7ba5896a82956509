//! The classes into which every answer to a request falls.

/// What an answer means for the job, finely enough to act on.
///
/// Every code of Tencent's is mapped to one of these by `tencent::verdict`; a code that is not in
/// that table is [`Class::InDoubt`], because a guess might ring a phone twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// `ErrorCode` 0: the request was accepted. Who was rung stands in the callee results.
    Accepted,
    /// Certainly rang nobody; may be sent again after a backoff.
    Safe,
    /// As [`Class::Safe`], and the whole app is asked to go slower.
    Throttled,
    /// As [`Class::Safe`], but nothing of the app goes through until its quota resets.
    QuotaUsed,
    /// No proof that nobody was rung: never sent again without evidence, a person or a policy.
    InDoubt,
    /// The app's credentials, package or host are wrong: the app is paused, the job keeps its turn.
    App,
    /// As [`Class::App`], but a `UserSig` made afresh may cure it: tried once before the pause.
    AppFreshSig,
    /// As [`Class::AppFreshSig`], and it can also mean this job's own account: if the fresh
    /// `UserSig` is refused too while other jobs of the app go through, only the job fails.
    AppOrJob,
    /// As [`Class::App`], and asking again within a minute prolongs the refusal.
    AppBackOff,
    /// This job's own input is refused; sending it again cannot help.
    Cannot,
}

/// The four families in which people talk about answers; reports and metrics show these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// The request was accepted.
    Accepted,
    /// Nobody was rung; trying again is safe.
    Safe,
    /// Somebody may have been rung.
    InDoubt,
    /// The fault is the app's, not the job's.
    App,
    /// The fault is the job's and final.
    Cannot,
}

impl Class {
    /// The family this class belongs to.
    #[must_use]
    pub const fn family(self) -> Family {
        match self {
            Self::Accepted => Family::Accepted,
            Self::Safe | Self::Throttled | Self::QuotaUsed => Family::Safe,
            Self::InDoubt => Family::InDoubt,
            Self::App | Self::AppFreshSig | Self::AppOrJob | Self::AppBackOff => Family::App,
            Self::Cannot => Family::Cannot,
        }
    }
}

impl Family {
    /// The word stored in `callq.attempts.class` and shown in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Safe => "safe",
            Self::InDoubt => "in_doubt",
            Self::App => "app",
            Self::Cannot => "cannot",
        }
    }
}
