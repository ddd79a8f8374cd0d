# Completion of process-exporter for bash. The program knows its own flags.
_process_exporter() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
	case "$before" in
	--config.path | --web.config.file | --procfs | check) COMPREPLY=($(compgen -f -- "$word")) && return ;;
	--source) COMPREPLY=($(compgen -W "auto bpf procfs" -- "$word")) && return ;;
	--log.level) COMPREPLY=($(compgen -W "debug info warn error" -- "$word")) && return ;;
	--log.format) COMPREPLY=($(compgen -W "logfmt json" -- "$word")) && return ;;
	esac
	local flags
	flags=$("${COMP_WORDS[0]}" --help 2>/dev/null | grep -oE -e '--[][a-z.-]+' | sed 's/\[no-\]//')
	COMPREPLY=($(compgen -W "$flags check explain groups inspect top" -- "$word"))
}
complete -F _process_exporter process-exporter process_exporter
