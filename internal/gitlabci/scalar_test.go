package gitlabci

import "testing"

// The expectations are what Psych 4.0.4 of Ruby 3.1 gives: the class of the
// value and its to_s.
func TestPlainScalarAsPsych(t *testing.T) {
	t.Parallel()
	tests := []struct{ give, class, text string }{
		{"", "nil", ""}, {"~", "nil", ""}, {"null", "nil", ""}, {"Null", "nil", ""}, {"nUlL", "nil", ""},
		{"yes", "true", "true"}, {"On", "true", "true"}, {"TRUE", "true", "true"}, {"no", "false", "false"}, {"off", "false", "false"},
		{"y", "String", "y"}, {"n", "String", "n"}, {"yes ", "String", "yes "}, {"truely", "String", "truely"},
		{"0", "Integer", "0"}, {"-0", "Integer", "0"}, {"+5", "Integer", "5"}, {"0755", "Integer", "493"}, {"-0755", "Integer", "-493"},
		{"08", "String", "08"}, {"0o17", "String", "0o17"}, {"0_7", "Integer", "7"}, {"0x1F", "Integer", "31"}, {"0b11", "Integer", "3"},
		{"1_000", "Integer", "1000"}, {"1,000", "Integer", "1000"}, {"1__0", "String", "1__0"}, {"0b,", "String", "0b,"},
		{"100000000000000000000", "Integer", "100000000000000000000"},
		{"1:30", "Integer", "5400"}, {"-1:30", "Integer", "-1800"}, {"1:30:20", "Integer", "5420"}, {"08:30", "Integer", "30600"},
		{"1:60", "String", "1:60"}, {"1:30.5", "Float", "5430.0"},
		{"1.20", "Float", "1.2"}, {"1.", "Float", "1.0"}, {".5", "Float", "0.5"}, {"-.5", "Float", "-0.5"}, {"-0.0", "Float", "-0.0"},
		{"1e3", "String", "1e3"}, {"1.5e3", "String", "1.5e3"}, {"1.0e+3", "Float", "1000.0"}, {"1.0e+20", "Float", "1.0e+20"},
		{"0.0001", "Float", "0.0001"}, {"0.00001", "Float", "1.0e-05"}, {"10000000000000000.0", "Float", "1.0e+16"},
		{"123456789.123456789", "Float", "123456789.12345679"}, {"1.0e+400", "Float", "Infinity"},
		{".inf", "Float", "Infinity"}, {"-.Inf", "Float", "-Infinity"}, {"+.INF", "Float", "Infinity"}, {".NaN", "Float", "NaN"},
		{".", "String", "."}, {"+.", "String", "+."}, {"-", "String", "-"}, {"1.2.3", "String", "1.2.3"}, {"v1.2", "String", "v1.2"},
		{"2024-01-02", "refused Date", ""}, {"2024-1-02", "refused Date", ""}, {"2024-01-02T10:00:00Z", "refused Time", ""}, {"2024-01-02 10:00:00 +01:00", "refused Time", ""},
		{"2024-13-45", "String", "2024-13-45"}, {"2024-01", "String", "2024-01"},
		{":foo", "Symbol", "foo"}, {`:"a b"`, "Symbol", "a b"}, {":", "String", ":"},
		{"/root", "String", "/root"}, {"=", "String", "="}, {"<<", "String", "<<"}, {"é", "String", "é"}, {"3 apples", "String", "3 apples"},
	}
	for _, tt := range tests {
		s := plainScalar(tt.give)
		class := map[kind]string{nullNode: "nil", boolNode: s.text, intNode: "Integer", floatNode: "Float", stringNode: "String"}[s.kind]
		switch {
		case s.symbol:
			class = "Symbol"
		case s.refused != "":
			class, s.text = "refused "+s.refused, ""
		}
		if class != tt.class || s.text != tt.text {
			t.Errorf("%q: got %s %q, want %s %q", tt.give, class, s.text, tt.class, tt.text)
		}
	}
}
