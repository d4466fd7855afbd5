package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"refline/internal/cli"
	"refline/internal/graphview"
	"refline/internal/localpipeline"
	"refline/internal/pipeline"
)

func newGraphCmd(e *cli.Env) *cobra.Command {
	o := &pipelineOptions{}
	var format, out string
	cmd := &cobra.Command{
		Use:   "graph",
		Short: "Draw the pipeline as SVG, Graphviz DOT or Mermaid",
		Long: `Draw the pipeline's stages, jobs and needs.

Exit codes: 0 good, 1 the pipeline has errors, 2 usage.`,
		Example: `  refline graph -o pipeline.svg
  refline graph --format mermaid >> README.md`,
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			draw, ok := map[string]func(*pipeline.Pipeline) (string, error){
				"svg":     func(p *pipeline.Pipeline) (string, error) { return graphview.SVG(p, nil) },
				"dot":     func(p *pipeline.Pipeline) (string, error) { return graphview.DOT(p), nil },
				"mermaid": func(p *pipeline.Pipeline) (string, error) { return graphview.Mermaid(p), nil },
			}[format]
			if !ok {
				return cli.Usagef("--format must be svg, dot or mermaid, not %q", format)
			}
			c, err := localpipeline.Compile(cmd.Context(), e.Local(), &o.Options)
			if err != nil {
				return err
			}
			defer c.Close()
			if c.Pipeline == nil {
				return c.NoPipeline(cmd.Context())
			}
			text, err := draw(c.Pipeline)
			if err != nil {
				return err
			}
			if out == "" {
				_, err = io.WriteString(e.Stdout, text)
				return err
			}
			if err := os.WriteFile(e.Path(out), []byte(text), 0o644); err != nil {
				return fmt.Errorf("graph: %w", err)
			}
			return nil
		},
	}
	o.bind(cmd)
	cmd.Flags().StringVar(&format, "format", "svg", "svg, dot or mermaid")
	cmd.Flags().StringVarP(&out, "output", "o", "", "write to this file")
	return cmd
}
