#compdef process-exporter process_exporter
# Completion of process-exporter for zsh. Flags and commands come from --help.
local -a flags commands
flags=(${(f)"$(${words[1]} --help 2>/dev/null | grep -oE -e '--[][a-z.-]+' | sed 's/\[no-\]//')"})
commands=(${(f)"$(${words[1]} --help 2>/dev/null | sed -n '/Commands:$/,/^$/s/^  \([a-z]*\).*/\1/p')"})
_alternative "flags:flag:($flags)" "commands:command:($commands)" 'files:file:_files'
