#!/usr/bin/env bash
# Topics and entities of a text, with curl.
set -euo pipefail
server=${RESSORT_SERVER:-http://127.0.0.1:8080}
curl --silent --show-error --fail-with-body --write-out '\n' "$server/v1/classify" \
  --header 'content-type: application/json' \
  --header "authorization: Bearer ${RESSORT_API_KEY:-}" \
  --data '{"text": "👍 Angela Merkel sprach in Berlin über den Haushalt.", "top_k": 2}'
