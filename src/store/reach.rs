//! Why a database cannot be connected to, told apart as a person must act on it.

use sqlx::postgres::PgDatabaseError;

use super::StoreError;

/// Why no connection came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectFault {
    /// The name of the host is not known.
    NoSuchHost,
    /// Nothing listens there, or there is no such socket.
    NobodyListens,
    /// No answer came in time.
    Silent,
    /// `sslmode` asks for TLS, and the server offers none.
    TlsNotOffered,
    /// The server's certificate is not trusted, or TLS failed otherwise.
    TlsFailed,
    /// The password is wrong, or none was given, or there is no such role.
    WrongPassword,
    /// There is no such role.
    NoSuchRole,
    /// There is no such database.
    NoSuchDatabase,
    /// The server's rules (`pg_hba.conf`) let this user not in from here, or not without TLS.
    NotLetIn,
    /// Every connection that the server allows is taken.
    TooManyConnections,
    /// The server is starting, stopping or recovering.
    NotReady,
    /// A pooler does not let a session begin this way.
    PoolerRefuses,
    /// Anything else.
    Other,
}

impl ConnectFault {
    /// What `error` says of the connection; [`ConnectFault::Other`] if it is not about one.
    #[must_use]
    pub fn of(error: &StoreError) -> Self {
        match error {
            StoreError::Connect(source) | StoreError::Statement { source, .. } => {
                Self::of_sqlx(source)
            }
            StoreError::Silent { .. } => Self::Silent,
            StoreError::Url(_)
            | StoreError::OtherDatabase
            | StoreError::Schema(_)
            | StoreError::Denied { .. }
            | StoreError::Pooler
            | StoreError::HistoryUnsure => Self::Other,
        }
    }

    /// Whether the database refused the login itself.
    #[must_use]
    pub const fn is_of_the_login(self) -> bool {
        matches!(
            self,
            Self::WrongPassword | Self::NoSuchRole | Self::NotLetIn
        )
    }

    fn of_sqlx(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::PoolTimedOut => Self::Silent,
            sqlx::Error::Tls(why) if why.to_string().contains("does not support TLS") => {
                Self::TlsNotOffered
            }
            sqlx::Error::Tls(_) => Self::TlsFailed,
            sqlx::Error::Io(error) => Self::of_io(error),
            sqlx::Error::Database(error) => error
                .try_downcast_ref::<PgDatabaseError>()
                .map_or(Self::Other, |error| {
                    Self::of_server(error.code(), error.routine(), error.message())
                }),
            _ => Self::Other,
        }
    }

    fn of_io(error: &std::io::Error) -> Self {
        use std::io::ErrorKind as Kind;
        // The library's own text: the kind of a name that is not known has no name in Rust.
        let unknown = error.to_string().contains("failed to lookup address");
        match error.kind() {
            _ if unknown => Self::NoSuchHost,
            Kind::ConnectionRefused | Kind::NotFound | Kind::PermissionDenied => {
                Self::NobodyListens
            }
            Kind::TimedOut | Kind::HostUnreachable | Kind::NetworkUnreachable => Self::Silent,
            // How rustls hands its errors on.
            Kind::InvalidData => Self::TlsFailed,
            _ => Self::Other,
        }
    }

    /// By the code, and where one code has several meanings by the function of the server that
    /// raised it: texts may be in any language.
    fn of_server(code: &str, routine: Option<&str>, message: &str) -> Self {
        match (code, routine) {
            ("28P01", _) => Self::WrongPassword,
            ("28000", Some("InitializeSessionUserId")) => Self::NoSuchRole,
            ("28000", _) => Self::NotLetIn,
            ("3D000", _) => Self::NoSuchDatabase,
            ("53300", _) => Self::TooManyConnections,
            ("57P03" | "57P01", _) => Self::NotReady,
            // PgBouncer has this code for everything, and no routine.
            ("08P01", None) if message.contains("unsupported startup parameter") => {
                Self::PoolerRefuses
            }
            // It knows no such database itself, or passes on what the server said.
            ("08P01", None)
                if message.contains("no such database")
                    || (message.starts_with("database ") && message.ends_with("not exist")) =>
            {
                Self::NoSuchDatabase
            }
            ("08P01", None) if message.contains("no such user") => Self::NoSuchRole,
            ("08P01", None)
                if message.contains("authentication failed") || message.contains("auth failed") =>
            {
                Self::WrongPassword
            }
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_code_with_several_meanings_is_told_apart() {
        for (code, routine, message, fault) in [
            (
                "28P01",
                Some("auth_failed"),
                "",
                ConnectFault::WrongPassword,
            ),
            (
                "28000",
                Some("InitializeSessionUserId"),
                "",
                ConnectFault::NoSuchRole,
            ),
            (
                "28000",
                Some("ClientAuthentication"),
                "",
                ConnectFault::NotLetIn,
            ),
            (
                "3D000",
                Some("InitPostgres"),
                "",
                ConnectFault::NoSuchDatabase,
            ),
            ("53300", None, "", ConnectFault::TooManyConnections),
            (
                "08P01",
                None,
                "unsupported startup parameter: options",
                ConnectFault::PoolerRefuses,
            ),
            (
                "08P01",
                None,
                "no such database: x",
                ConnectFault::NoSuchDatabase,
            ),
            (
                "08P01",
                None,
                "database \"x\" does not exist",
                ConnectFault::NoSuchDatabase,
            ),
            (
                "08P01",
                Some("ProcessStartupPacket"),
                "",
                ConnectFault::Other,
            ),
            ("XX000", None, "", ConnectFault::Other),
        ] {
            assert_eq!(
                ConnectFault::of_server(code, routine, message),
                fault,
                "{code}"
            );
        }
    }
}
