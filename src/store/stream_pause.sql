-- Media of an app ($1) is paused, because Tencent refused its credentials or its package ($2: the code and RequestId), for $3
-- seconds, doubled with each refusal in a row up to 5 minutes. $2 NULL: a request was accepted, so it is not any more.
--
-- Answers with a row if that is news. Index: the primary key of apps.
WITH before AS (
    SELECT a.app, a.media_retry_at IS NOT NULL AS paused FROM callq.apps AS a
    WHERE a.app = $1::text AND (a.media_retry_at IS NOT NULL OR $2::text IS NOT NULL) FOR NO KEY UPDATE
), done AS (
    UPDATE callq.apps AS a SET
        media_retry_at = CASE WHEN $2::text IS NOT NULL THEN now() + least(300, $3::float8 * 2 ^ least(a.media_failures, 8)) * interval '1 second' END,
        media_failures = CASE WHEN $2::text IS NULL THEN 0 ELSE a.media_failures + 1 END,
        media_failure = left($2::text, 200)
    FROM before AS b WHERE a.app = b.app
)
SELECT b.app FROM before AS b WHERE b.paused = ($2::text IS NULL)
