// Of each element: covalent radius in hundredths of an ångström (Cordero 2008), and a colour.
const RADII =
  "H31 He28 Li128 Be96 B84 C76 N71 O66 F57 Ne58 Na166 Mg141 Al121 Si111 P107 S105 Cl102 Ar106 K203 Ca176 Sc170 Ti160 V153 Cr139 Mn139 Fe132 Co126 Ni124 Cu132 Zn122 Ga122 Ge120 As119 Se120 Br120 Kr116 Rb220 Sr195 Y190 Zr175 Nb164 Mo154 Tc147 Ru146 Rh142 Pd139 Ag145 Cd144 In142 Sn139 Sb139 Te138 I139 Xe140 Cs244 Ba215 La207 Ce204 Pr203 Nd201 Pm199 Sm198 Eu198 Gd196 Tb194 Dy192 Ho192 Er189 Tm190 Yb187 Lu187 Hf175 Ta170 W162 Re151 Os144 Ir141 Pt136 Au136 Hg132 Tl145 Pb146 Bi148 Po140 At150 Rn150 Fr260 Ra221 Ac215 Th206 Pa200 U196 Np190 Pu187 Am180 Cm169";
/** Those that chemists expect; every other element gets a hue of its own. */
const USUAL: Record<string, string> = {
  H: "#e4e9ef", C: "#5a6472", N: "#3f6fd8", O: "#e0584e", F: "#7fc46b", Na: "#a06fd0", Mg: "#7fb24a", Al: "#a9a3ad", Si: "#d9b370",
  P: "#e08f3c", S: "#e6c63f", Cl: "#5cb85c", K: "#8f63c9", Ca: "#6fb07a", Ti: "#7f93b2", Fe: "#cf7a4a", Cu: "#c98550", Zn: "#7f86b8",
  Ga: "#b98a8f", Ge: "#7f9a93", Br: "#a5503f", Sr: "#5cbf8c", Ag: "#b9bec6", I: "#7a4fa3", Pt: "#b8bfd0", Au: "#e0b93a",
};

const ORDER = RADII.split(" ").map((entry) => /^([A-Za-z]+)(\d+)$/.exec(entry)!);
const RADIUS = new Map(ORDER.map((found) => [found[1]!, Number(found[2]) / 100]));
const NUMBER = new Map(ORDER.map((found, index) => [found[1]!, index + 1]));

/** Å; of an element that the table lacks, that of the heaviest. */
export function radius(symbol: string): number {
  return RADIUS.get(symbol) ?? 1.7;
}

/** A CSS colour, the same for the drawing and its legend. */
export function colour(symbol: string): string {
  // Golden angles: neighbours in the periodic table stay far apart in hue.
  return USUAL[symbol] ?? `hsl(${Math.round((NUMBER.get(symbol) ?? 97) * 137.508) % 360} 42% 56%)`;
}
