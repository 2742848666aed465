package cli

import (
	"bytes"
	"io"
	"time"

	"github.com/rs/zerolog"

	"syncer/config"
)

// logger is the program's log on stderr: JSON for machines, console for a person before a terminal. level is the
// config's; the flag wins.
func (p *Program) logger(level string) zerolog.Logger {
	if p.logLevel != "" {
		level = p.logLevel
	}
	at, err := zerolog.ParseLevel(level)
	if err != nil {
		at = zerolog.InfoLevel // config has refused anything else already
	}
	return zerolog.New(p.logWriter()).Level(at).With().Timestamp().Logger()
}

func (p *Program) logWriter() io.Writer {
	format := p.logFormat
	if format == "" && isTerminal(p.err) {
		format = "console"
	}
	if format != "console" {
		p.err.tell(droppedAsJSON)
		return p.live
	}
	return zerolog.ConsoleWriter{Out: p.live, TimeFormat: time.TimeOnly, NoColor: !painter(p.err, p.env).On}
}

// droppedAsJSON is the line of a log that tells of those which nobody read.
func droppedAsJSON(lines int) []byte {
	var line bytes.Buffer
	log := zerolog.New(&line).With().Timestamp().Logger()
	log.Warn().Int("lines", lines).Msg("lines of this log were dropped here, since nobody read them")
	return line.Bytes()
}

// quieter is the log of a command with a live line: the line tells what info would, so only what needs a person is
// left. Where there is no live line, or a level was asked for, it is the log as configured.
func (p *Program) quieter(cfg *config.Config) zerolog.Logger {
	log := p.logger(cfg.Log.Level)
	if p.live.on && p.logLevel == "" {
		log = log.Level(max(log.GetLevel(), zerolog.WarnLevel))
	}
	return log
}
