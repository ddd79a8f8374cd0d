# Completion of process-exporter for bash. Flags and commands come from --help.
_process_exporter() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
	case "$before" in
	--config.path | --web.config.file | --procfs | check) COMPREPLY=($(compgen -f -- "$word")) && return ;;
	--source) COMPREPLY=($(compgen -W "auto bpf procfs" -- "$word")) && return ;;
	--log.level) COMPREPLY=($(compgen -W "debug info warn error" -- "$word")) && return ;;
	--log.format) COMPREPLY=($(compgen -W "logfmt json" -- "$word")) && return ;;
	esac
	local help flags commands
	help=$("${COMP_WORDS[0]}" --help 2>/dev/null)
	flags=$(grep -oE -e '--[][a-z.-]+' <<<"$help" | sed 's/\[no-\]//')
	commands=$(sed -n '/Commands:$/,/^$/s/^  \([a-z]*\).*/\1/p' <<<"$help")
	COMPREPLY=($(compgen -W "$flags $commands" -- "$word"))
}
complete -F _process_exporter process-exporter process_exporter
