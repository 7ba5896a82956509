//! Who may have streams played: each mistake has its own code.

use callq::call::Class;
use callq::sandbox::{SANDBOX_CAM_SECRET_ID, SandboxApp};
use callq::tencent::{IngestClient, IngestError, TaskStatus};

use super::{APP, Bench, NOW, cam, config, start};

async fn refused(client: &IngestClient, at: i64) -> IngestError {
    client.describe("none", at).await.unwrap_err()
}

#[tokio::test]
async fn each_mistake_of_an_app_is_told_apart() {
    let mut two = config();
    two.apps.push(SandboxApp {
        sdk_app_id: 7,
        cam_secret_id: "AKIDother".to_owned(),
        cam_secret_key: "another".to_owned(),
        ..SandboxApp::default()
    });
    let bench = Bench::with(two).await;
    let unknown = bench.client(|settings| settings.credential = cam("AKIDnobody", "key"));
    let wrong = bench.client(|settings| settings.credential = cam(SANDBOX_CAM_SECRET_ID, "wrong"));
    let other = bench.client(|settings| settings.credential = cam("AKIDother", "another"));
    let absent = bench.client(|settings| settings.sdk_app_id = 8);
    let far = bench.client(|settings| settings.region = "eu-frankfurt".to_owned());
    for (client, at, code) in [
        (&unknown, NOW, "AuthFailure.SecretIdNotFound"),
        (&wrong, NOW, "AuthFailure.SignatureFailure"),
        (&bench.streams, NOW - 301, "AuthFailure.SignatureExpire"),
        (&bench.streams, NOW + 301, "AuthFailure.SignatureExpire"),
        (&other, NOW, "FailedOperation.SdkAppIdNotUnderAppId"),
        (&absent, NOW, "FailedOperation.SdkAppIdNotExist"),
        (&far, NOW, "UnsupportedRegion"),
    ] {
        let error = refused(client, at).await;
        assert_eq!(error.code.as_deref(), Some(code), "{error}");
        assert_eq!(error.class, Class::App, "{error}");
        assert_eq!(error.date_unix, Some(NOW), "{error:?}");
        assert!(error.request_id.is_some() && !error.is_unreachable);
    }
    for at in [NOW - 300, NOW, NOW + 300] {
        assert_eq!(
            bench.streams.describe("none", at).await,
            Ok(TaskStatus::NotExist)
        );
    }
}

#[tokio::test]
async fn a_user_sig_of_another_account_is_refused() {
    let bench = Bench::new().await;
    let room = bench.answered("callq_1_1").await;
    let user_sig = super::user_sigs().of_account("somebody-else", NOW).unwrap();
    let start = callq::tencent::StartIngest {
        room: &room,
        robot_account: super::ROBOT,
        user_sig: &user_sig,
        stream_url: super::URL,
        repeat: None,
        max_minutes: None,
        volume: None,
    };
    let error = bench.streams.start(&start, NOW).await.unwrap_err();
    assert_eq!(error.code.as_deref(), Some("InvalidParameter.UserSig"));
    assert_eq!((error.class, bench.tally().started), (Class::Cannot, 0));
}

#[tokio::test]
async fn a_new_key_is_signed_with_from_the_next_request_on() {
    let bench = Bench::new().await;
    assert!(bench.sandbox.set_cam_key(APP.into(), "AKIDnew", "new-key"));
    let old = bench.streams.credential().fingerprint();
    assert_eq!(
        refused(&bench.streams, NOW).await.code.as_deref(),
        Some("AuthFailure.SecretIdNotFound")
    );
    bench.streams.set_credential(cam("AKIDnew", "new-key"));
    assert_eq!(
        bench.streams.describe("none", NOW).await,
        Ok(TaskStatus::NotExist)
    );
    assert_ne!(bench.streams.credential().fingerprint(), old);
}

#[tokio::test]
async fn apps_of_one_account_share_its_key() {
    let mut two = config();
    two.apps.push(SandboxApp {
        sdk_app_id: 7,
        ..SandboxApp::default()
    });
    let bench = Bench::with(two).await;
    let seventh = bench.client(|settings| settings.sdk_app_id = 7);
    let room = bench.answered("callq_1_1").await;
    let task = bench.start(&room).await.unwrap();
    // The room and the stream are another app's all the same.
    assert!(start(&seventh, &room).await.is_err());
    assert_eq!(seventh.describe(&task, NOW).await, Ok(TaskStatus::NotExist));
    assert_eq!(bench.tally().playing, 1);
}
