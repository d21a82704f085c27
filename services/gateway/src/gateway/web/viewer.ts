// Draws a structure with three.js. This file is fetched when a structure is first seen.
import {
  AmbientLight, BufferAttribute, BufferGeometry, Color, CylinderGeometry, DirectionalLight, Group, HemisphereLight, InstancedMesh,
  LineBasicMaterial, LineSegments, Matrix4, MeshStandardMaterial, OrthographicCamera, Quaternion, Scene, SphereGeometry, SRGBColorSpace,
  Vector3, WebGLRenderer,
} from "three";
import { colour, radius } from "./elements";

export interface Structure {
  symbols: string[];
  positions: [number, number, number][];
  cell: [number, number, number][] | null;
  frame: number | null;
}

const BOND_FACTOR = 1.18; // a bond is shorter than this times the sum of the covalent radii
const MOST_BONDS = 4000;
const UP = new Vector3(0, 1, 0);

/** Ball and stick, orthographic, with the cell as lines; draws only when something has changed. */
export class Viewer {
  private readonly renderer = new WebGLRenderer({ antialias: true, alpha: true, preserveDrawingBuffer: true });
  private readonly scene = new Scene();
  private readonly camera = new OrthographicCamera();
  private readonly pivot = new Group();
  private readonly lines = new LineBasicMaterial({ transparent: true, opacity: 0.6 });
  private readonly watch: ResizeObserver;
  private content: Group | undefined;
  private reach = 1;
  private zoom = 1;
  private pending = false;
  private readonly retheme = () => this.theme();

  /** Throws where there is no WebGL. */
  constructor(private readonly stage: HTMLElement) {
    this.renderer.outputColorSpace = SRGBColorSpace;
    this.renderer.setPixelRatio(Math.min(devicePixelRatio, 2));
    const key = new DirectionalLight(0xffffff, 1.9);
    key.position.set(-3, 5, 7);
    const rim = new DirectionalLight(0xbfd4ff, 0.7);
    rim.position.set(5, -3, -4);
    this.scene.add(this.pivot, key, rim, new HemisphereLight(0xffffff, 0xc7d2e6, 1.9), new AmbientLight(0xffffff, 0.35));
    this.camera.position.z = 500;
    this.camera.far = 1000;
    this.pivot.rotation.set(0.3, -0.36, 0);
    this.renderer.domElement.setAttribute("aria-hidden", "true");
    stage.replaceChildren(this.renderer.domElement);
    this.watch = new ResizeObserver(() => this.resize());
    this.watch.observe(stage);
    this.listen();
    document.documentElement.addEventListener("themechange", this.retheme);
    this.theme();
  }

  /** In place of the one before; zoom and turn stay. */
  show(structure: Structure): void {
    if (this.content) {
      this.pivot.remove(this.content);
      this.content.traverse((part) => {
        if (part instanceof InstancedMesh || part instanceof LineSegments) part.geometry.dispose();
      });
    }
    const places = structure.positions.map((one) => new Vector3(...one));
    const content = new Group();
    content.add(this.balls(structure, places), this.sticks(structure, places));
    const edges = structure.cell ? cellEdges(structure.cell) : [];
    if (structure.cell) content.add(new LineSegments(new BufferGeometry().setAttribute("position", new BufferAttribute(new Float32Array(edges.flatMap((one) => one.toArray())), 3)), this.lines));
    const all = [...places, ...edges];
    const low = all.reduce((least, one) => least.min(one), all[0]!.clone());
    const high = all.reduce((most, one) => most.max(one), all[0]!.clone());
    const centre = low.clone().add(high).multiplyScalar(0.5);
    content.position.copy(centre).negate();
    this.reach = high.distanceTo(low) / 2 + 1;
    this.content = content;
    this.pivot.add(content);
    this.resize();
  }

  destroy(): void {
    this.watch.disconnect();
    document.documentElement.removeEventListener("themechange", this.retheme);
    this.renderer.dispose();
  }

  private balls({ symbols }: Structure, places: Vector3[]): InstancedMesh {
    const mesh = new InstancedMesh(new SphereGeometry(1, 28, 20), new MeshStandardMaterial({ roughness: 0.42 }), places.length);
    const matrix = new Matrix4();
    places.forEach((place, index) => {
      const size = radius(symbols[index]!) * 0.46;
      mesh.setMatrixAt(index, matrix.compose(place, new Quaternion(), new Vector3(size, size, size)));
      mesh.setColorAt(index, new Color(colour(symbols[index]!)));
    });
    return mesh;
  }

  /** Two halves a bond, each in its atom's colour. */
  private sticks({ symbols }: Structure, places: Vector3[]): InstancedMesh {
    const pairs = bonds(symbols, places);
    const mesh = new InstancedMesh(new CylinderGeometry(1, 1, 1, 14, 1, true), new MeshStandardMaterial({ roughness: 0.42 }), Math.max(1, pairs.length * 2));
    mesh.count = pairs.length * 2;
    const matrix = new Matrix4();
    pairs.forEach(([first, second], index) => {
      const middle = places[first]!.clone().add(places[second]!).multiplyScalar(0.5);
      [first, second].forEach((end, half) => {
        const along = middle.clone().sub(places[end]!);
        const length = along.length();
        const turn = new Quaternion().setFromUnitVectors(UP, along.normalize());
        mesh.setMatrixAt(2 * index + half, matrix.compose(middle.clone().add(places[end]!).multiplyScalar(0.5), turn, new Vector3(0.12, length, 0.12)));
        mesh.setColorAt(2 * index + half, new Color(colour(symbols[end]!)));
      });
    });
    return mesh;
  }

  private theme(): void {
    const probe = document.createElement("i");
    probe.className = "dim";
    this.stage.append(probe);
    // A canvas turns whatever notation the colour has into bytes.
    const canvas = document.createElement("canvas").getContext("2d")!;
    canvas.fillStyle = getComputedStyle(probe).color;
    canvas.fillRect(0, 0, 1, 1);
    probe.remove();
    const [red, green, blue] = canvas.getImageData(0, 0, 1, 1).data;
    this.lines.color.setRGB(red! / 255, green! / 255, blue! / 255, SRGBColorSpace);
    this.paint();
  }

  private resize(): void {
    const { clientWidth: width, clientHeight: height } = this.stage;
    if (!width || !height) return;
    this.renderer.setSize(width, height, false);
    const aspect = width / height;
    const half = (this.reach / this.zoom) * (aspect > 1 ? 1 : 1 / aspect);
    Object.assign(this.camera, { left: -half * aspect, right: half * aspect, top: half, bottom: -half });
    this.camera.updateProjectionMatrix();
    this.paint();
  }

  private paint(): void {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => {
      this.pending = false;
      this.renderer.render(this.scene, this.camera);
      this.stage.dataset.drawn = String(Number(this.stage.dataset.drawn ?? 0) + 1);
    });
  }

  private turn(dx: number, dy: number): void {
    this.pivot.quaternion.premultiply(new Quaternion().setFromAxisAngle(UP, dx));
    this.pivot.quaternion.premultiply(new Quaternion().setFromAxisAngle(new Vector3(1, 0, 0), dy));
    this.paint();
  }

  private magnify(factor: number): void {
    this.zoom = Math.min(8, Math.max(0.5, this.zoom * factor));
    this.resize();
  }

  private listen(): void {
    const { stage } = this;
    let at = { x: 0, y: 0 };
    stage.addEventListener("pointerdown", (event) => {
      stage.setPointerCapture(event.pointerId);
      at = { x: event.clientX, y: event.clientY };
    });
    stage.addEventListener("pointermove", (event) => {
      if (!stage.hasPointerCapture(event.pointerId)) return;
      this.turn((event.clientX - at.x) * 0.009, (event.clientY - at.y) * 0.009);
      at = { x: event.clientX, y: event.clientY };
    });
    stage.addEventListener(
      "wheel",
      (event) => {
        if (!event.ctrlKey && !stage.matches(":focus")) return; // a page that is scrolled past must not be caught
        event.preventDefault();
        this.magnify(Math.exp(-event.deltaY * 0.0015));
      },
      { passive: false },
    );
    stage.addEventListener("keydown", (event) => {
      const turns: Record<string, [number, number]> = { ArrowLeft: [-0.12, 0], ArrowRight: [0.12, 0], ArrowUp: [0, -0.12], ArrowDown: [0, 0.12] };
      const turn = turns[event.key];
      if (turn) {
        event.preventDefault();
        this.turn(...turn);
      } else if (event.key === "+" || event.key === "=") this.magnify(1.15);
      else if (event.key === "-") this.magnify(1 / 1.15);
    });
  }
}

function bonds(symbols: string[], places: Vector3[]): [number, number][] {
  const found: [number, number][] = [];
  for (let first = 0; first < places.length && found.length < MOST_BONDS; first++) {
    for (let second = first + 1; second < places.length; second++) {
      const most = BOND_FACTOR * (radius(symbols[first]!) + radius(symbols[second]!));
      if (places[first]!.distanceToSquared(places[second]!) < most * most) found.push([first, second]);
    }
  }
  return found;
}

/** Both ends of each of the twelve edges, one after the other. */
function cellEdges(cell: [number, number, number][]): Vector3[] {
  const [a, b, c] = cell.map((one) => new Vector3(...one)) as [Vector3, Vector3, Vector3];
  const corner = (i: number, j: number, k: number) => new Vector3().addScaledVector(a, i).addScaledVector(b, j).addScaledVector(c, k);
  const edges: Vector3[] = [];
  for (const i of [0, 1]) {
    for (const j of [0, 1]) edges.push(corner(0, i, j), corner(1, i, j), corner(i, 0, j), corner(i, 1, j), corner(i, j, 0), corner(i, j, 1));
  }
  return edges;
}
