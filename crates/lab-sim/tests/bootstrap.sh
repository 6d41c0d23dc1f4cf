#!/bin/sh
# The smallest custom runtime: it answers each event with the event, unless the event asks for something else.
set -eu
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime"
if [ "${INIT:-}" = fails ]; then
    curl -sS -o /dev/null -d '{"errorType":"Init.Failed","errorMessage":"as asked"}' "$api/init/error"
    exit 1
fi
echo "started for $AWS_LAMBDA_FUNCTION_NAME in $AWS_REGION"
while :; do
    head="$TMPDIR/head"
    event=$(curl -sS -D "$head" "$api/invocation/next")
    id=$(tr -d '\r' <"$head" | sed -n 's/^[Ll]ambda-[Rr]untime-[Aa]ws-[Rr]equest-[Ii]d: //p')
    echo "event $event"
    case "$event" in
    *invocationSchemaVersion*)
        # One task of a batch job: its key says how it ends.
        task=$(printf '%s' "$event" | sed 's/.*"taskId":"\([^"]*\)".*/\1/')
        case "$event" in
        *never*) code=PermanentFailure ;;
        *twice*) if mkdir "$STATE/tried" 2>/dev/null; then code=TemporaryFailure; else code=Succeeded; fi ;;
        *) code=Succeeded ;;
        esac
        curl -sS -o /dev/null --data-binary "{\"treatMissingKeysAs\":\"PermanentFailure\",\"results\":[{\"taskId\":\"$task\",\"resultCode\":\"$code\",\"resultString\":\"said \\\"$code\\\"\"}]}" \
            "$api/invocation/$id/response"
        continue
        ;;
    *measure*)
        now=$(date +%s)000
        echo "{\"_aws\":{\"Timestamp\":$now,\"CloudWatchMetrics\":[{\"Namespace\":\"hybrid-lab\",\"Dimensions\":[[\"FunctionName\"]],\"Metrics\":[{\"Name\":\"Bytes\",\"Unit\":\"Bytes\"}]}]},\"FunctionName\":\"echo\",\"Bytes\":7}"
        ;;
    *partly*)
        # The messages whose body begins with "partly" fail.
        # Its fields stand in any order.
        failed=$(printf '%s' "$event" | sed 's/},{/\n/g' | grep '"body":"partly' |
            sed 's/.*"messageId":"\([^"]*\)".*/{"itemIdentifier":"\1"}/' | paste -sd, -)
        curl -sS -o /dev/null --data-binary "{\"batchItemFailures\":[$failed]}" "$api/invocation/$id/response"
        continue
        ;;
    *pause*) sleep 0.3 ;;
    *sleep*) sleep 60 ;;
    *crash*) exit 3 ;;
    *swell*) exec awk 'BEGIN { s = "x"; while (1) s = s s }' ;;
    *fail*)
        curl -sS -o /dev/null -d '{"errorType":"Asked","errorMessage":"as asked"}' "$api/invocation/$id/error"
        continue
        ;;
    *Records*)
        # What an S3 event says is put beside its object, through the endpoint that the function was given.
        scope="AWS4-HMAC-SHA256 Credential=$AWS_ACCESS_KEY_ID/20260101/$AWS_REGION/s3/aws4_request, Signature=0"
        curl -sS -o /dev/null -X PUT -H "authorization: $scope" -H 'content-type: application/json' \
            --data-binary "$event" "$AWS_ENDPOINT_URL/$OUTPUT_BUCKET/event-$id"
        ;;
    esac
    curl -sS -o /dev/null --data-binary "$event" "$api/invocation/$id/response"
done
