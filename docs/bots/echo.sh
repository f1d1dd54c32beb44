# Answers messages: sh echo.sh --user USER [OPTIONS]
conclave listen "$@" | while read -r cursor kind room number sender time text; do
    [ "$kind" = text ] && conclave send "$@" --id "answer $cursor" "$room" "You said: $text"
done
