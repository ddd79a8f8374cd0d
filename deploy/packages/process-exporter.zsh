#compdef process-exporter process_exporter
# Completion of process-exporter for zsh. The program knows its own flags.
local -a flags
flags=(${(f)"$(${words[1]} --help 2>/dev/null | grep -oE -e '--[][a-z.-]+' | sed 's/\[no-\]//')"})
_alternative "flags:flag:($flags)" 'commands:command:(check explain groups inspect top)' 'files:file:_files'
